-- What a flame graph does in a browser: a click widens a box, Search marks names. Internal.

return [[
"use strict";
(function () {
  var LEFT = 10, INNER = 1180, CHAR = 7;
  var root = document.documentElement;
  var boxes = Array.prototype.slice.call(root.getElementsByClassName("f")).map(function (g) {
    return {
      g: g, rect: g.getElementsByTagName("rect")[0], text: g.getElementsByTagName("text")[0],
      title: g.getElementsByTagName("title")[0].textContent,
      name: g.getElementsByTagName("title")[0].textContent.split("\n")[0],
      x: Number(g.getAttribute("data-x")), w: Number(g.getAttribute("data-w")),
      y: Number(g.getElementsByTagName("rect")[0].getAttribute("y"))
    };
  });
  var details = document.getElementById("details"), first = details.textContent;
  var reset = document.getElementById("reset"), search = document.getElementById("search");
  var matched = document.getElementById("matched");
  if (boxes.length === 0) return;

  function fit(name, width) {
    var room = Math.floor((width - 6) / CHAR);
    if (room < 3) return "";
    return name.length <= room ? name : name.slice(0, room - 1) + "\u2026";
  }

  function place(box, x, width) {
    box.rect.setAttribute("x", x.toFixed(2));
    box.rect.setAttribute("width", Math.max(width - 0.4, 0.2).toFixed(2));
    box.text.setAttribute("x", (x + 3).toFixed(2));
    box.text.textContent = fit(box.name, width);
  }

  // The box gets the whole width; those below it, which are wider, too.
  function zoom(to) {
    var scale = INNER / to.w, slack = 0.01;
    boxes.forEach(function (box) {
      var isInside = box.x >= to.x - slack && box.x + box.w <= to.x + to.w + slack && box.y <= to.y;
      var isBelow = box.y > to.y && box.x <= to.x + slack && box.x + box.w >= to.x + to.w - slack;
      box.g.classList.toggle("out", !isInside && !isBelow);
      box.g.classList.toggle("part", isBelow);
      if (isInside) place(box, LEFT + (box.x - to.x) * scale, box.w * scale);
      if (isBelow) place(box, LEFT, INNER);
    });
    reset.setAttribute("visibility", to === boxes[0] ? "hidden" : "visible");
  }

  // The share of the time under marked boxes; a box above a marked one counts once.
  function mark(pattern) {
    var found = [], sum = 0, end = -1;
    boxes.forEach(function (box) {
      var is = pattern !== null && pattern.test(box.name) && box !== boxes[0];
      box.g.classList.toggle("found", is);
      if (is) found.push(box);
    });
    found.sort(function (a, b) { return a.x - b.x || b.w - a.w; });
    found.forEach(function (box) {
      var to = box.x + box.w;
      if (to > end) sum += to - Math.max(box.x, end);
      end = Math.max(end, to);
    });
    var share = (100 * sum / boxes[0].w).toFixed(2) + "%";
    matched.textContent = pattern === null ? " " : "Matched: " + share;
    search.textContent = pattern === null ? "Search" : "Reset search";
  }

  function ask() {
    if (search.textContent !== "Search") return mark(null);
    var text = window.prompt("Names that contain (a regular expression):");
    if (!text) return;
    var pattern;
    try { pattern = new RegExp(text); } catch (_) {
      pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    }
    mark(pattern);
  }

  boxes.forEach(function (box) {
    box.g.addEventListener("click", function () { zoom(box); });
    box.g.addEventListener("mouseover", function () {
      details.textContent = box.title.replace("\n", ": ");
    });
    box.g.addEventListener("mouseout", function () { details.textContent = first; });
  });
  reset.addEventListener("click", function () { zoom(boxes[0]); });
  search.addEventListener("click", ask);
  search.setAttribute("visibility", "visible");
  window.addEventListener("keydown", function (event) {
    if (event.key === "F3" || ((event.ctrlKey || event.metaKey) && event.key === "f")) {
      event.preventDefault();
      ask();
    }
  });
  window.moonletProfile = { mark: function (text) { mark(text ? new RegExp(text) : null); } };
})();
]]
