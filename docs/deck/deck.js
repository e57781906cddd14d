// A slide that is too full for the screen gets smaller letters and pictures.
function fit() {
  const slide = Reveal.getCurrentSlide();
  const { height, width } = Reveal.getConfig();
  const full = () => slide.scrollHeight > height || slide.scrollWidth > width;
  slide.style.fontSize = "";
  let size = parseFloat(getComputedStyle(slide).fontSize);
  while (full() && size > 12) {
    size -= 0.5;
    slide.style.fontSize = size + "px";
  }
}

Reveal.initialize({
  width: 1280,
  height: 720,
  margin: 0.03,
  center: false,
  hash: true,
  navigationMode: "linear",
  slideNumber: "c/t",
  transition: "none",
}).then(fit);
Reveal.on("slidechanged", fit);
