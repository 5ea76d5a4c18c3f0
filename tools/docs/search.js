// The search: every word must begin a word of a section; sections with them in their heading come first.
// The index is a script of its own, loaded at the first use, so that it works for pages opened as files, too.
var searchIndex;

(function () {
  const root = document.currentScript.dataset.root;
  const input = document.getElementById("search");
  const results = document.getElementById("results");

  function load() {
    if (document.getElementById("index")) return;
    const script = document.createElement("script");
    script.id = "index";
    script.src = root + "search-index.js";
    script.onload = show;
    document.head.append(script);
  }

  function pattern(word) {
    return new RegExp("(^|[^a-z0-9])" + word.replace(/[^a-z0-9_]/g, "\\$&"), "i");
  }

  // 0: no; the higher the better.
  function score(entry, words) {
    const [, , page, heading, text] = entry;
    let sum = 0;
    for (const word of words) {
      if (pattern(word).test(heading)) sum += 10;
      else if (pattern(word).test(page)) sum += 3;
      else if (pattern(word).test(text)) sum += 1;
      else return 0;
    }
    return sum + 1 / heading.length;
  }

  function excerpt(text, word) {
    const found = text.search(pattern(word));
    const from = Math.max(0, found - 40);
    return (from > 0 ? "…" : "") + text.slice(from, from + 140);
  }

  function row(entry, words) {
    const [page, anchor, title, heading, text] = entry;
    const link = document.createElement("a");
    link.href = root + page + "#" + anchor;
    link.append(heading === title ? heading : title + " › " + heading);
    const small = document.createElement("small");
    small.append(excerpt(text, words[0]));
    link.append(small);
    return link;
  }

  function show() {
    const words = input.value.toLowerCase().split(/[\s()]+/).filter(Boolean);
    results.hidden = words.length === 0 || !searchIndex;
    if (results.hidden) return;
    const found = searchIndex.map((entry) => [score(entry, words), entry]).filter(([n]) => n > 0);
    found.sort(([a], [b]) => b - a);
    results.replaceChildren(...found.slice(0, 30).map(([, entry]) => row(entry, words)));
    if (found.length === 0) results.append("Nothing found.");
  }

  input.addEventListener("focus", load);
  input.addEventListener("input", show);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && results.firstElementChild) results.firstElementChild.click();
  });
  document.addEventListener("click", (event) => { results.hidden = event.target !== input; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") results.hidden = true;
    if (event.key !== "/" || document.activeElement === input) return;
    event.preventDefault();
    input.focus();
  });
})();
