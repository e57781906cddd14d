// Excerpts of what the search finds are fetched, which a browser forbids for files.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
