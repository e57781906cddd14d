// A slide that is too full for the screen, or for its page, gets smaller letters and pictures.
function fit(slide, smallest) {
  const { height, width } = Reveal.getConfig();
  const full = () => slide.scrollHeight > height || slide.scrollWidth > width;
  slide.style.fontSize = "";
  let size = parseFloat(getComputedStyle(slide).fontSize);
  while (full() && size > smallest) {
    size -= 0.5;
    slide.style.fontSize = size + "px";
  }
}
const fitCurrent = () => fit(Reveal.getCurrentSlide(), 12);

Reveal.on("slidechanged", fitCurrent);
// Printed, with `?print-pdf`: nothing scrolls there, so letters may become smaller than on a screen.
Reveal.on("pdf-ready", () => {
  document.querySelectorAll(".pdf-page > section").forEach((slide) => fit(slide, 6));
});
Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0.03,
  center: false,
  hash: true,
  navigationMode: "linear",
  pdfMaxPagesPerSlide: 1,
  pdfSeparateFragments: false,
  slideNumber: "c/t",
  transition: "none",
}).then(() => Reveal.isPrintView() || fitCurrent());
