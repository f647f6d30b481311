/** The viewer's page: the frame that the script fills. */
import { basename } from "node:path";
import { xml } from "./map-picture.js";

/** Makes the page for a file. */
export function pageHtml(path: string, canWrite: boolean): string {
  const name = xml(basename(path));
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name} – hexbolt</title>
<link rel="stylesheet" href="view.css">
<link rel="icon" href="data:,">
<script src="view.js" defer></script>
</head>
<body data-can-write="${canWrite}">
<header>
  <h1 title="${xml(path)}">${name}</h1>
  <span class="badge" title="${canWrite ? "Started with --write: values can be changed here" : "Start hexbolt view with --write to change values here"}">${canWrite ? "can be changed" : "read-only"}</span>
  <nav role="tablist">
    <button role="tab" id="tab-content" aria-selected="true" aria-controls="content">Content</button>
    <button role="tab" id="tab-map" aria-selected="false" aria-controls="map">Pages</button>
    <button role="tab" id="tab-check" aria-selected="false" aria-controls="check">Check</button>
  </nav>
  <dl id="counters" aria-live="off">
    <div><dt>Transaction</dt><dd id="count-txid">–</dd></div>
    <div><dt>Commits/s</dt><dd id="count-rate">–</dd></div>
    <div><dt>Size</dt><dd id="count-size">–</dd></div>
    <div><dt>Pages</dt><dd id="count-pages">–</dd></div>
    <div><dt title="Free pages, with those that become free soon (pending)">Free</dt><dd id="count-free">–</dd></div>
  </dl>
</header>
<p id="message" role="alert" hidden></p>
<main>
  <section id="content" role="tabpanel" aria-labelledby="tab-content">
    <div id="tree" role="tree" aria-label="Buckets"></div>
    <div id="entries">
      <div class="bar">
        <h2 id="bucket-name">Buckets</h2>
        <label>Keys starting with <input id="prefix" type="search" placeholder="text, or 0x… for bytes" spellcheck="false" autocomplete="off"></label>
        <span class="pager"><button id="page-first">First</button><button id="page-back">Back</button><button id="page-next">Next</button></span>
      </div>
      <p id="bucket-stats"></p>
      <table><thead><tr><th>Key</th><th>Size</th><th>Value</th></tr></thead><tbody id="rows"></tbody></table>
      <p id="no-rows" class="hint" hidden></p>
    </div>
    <aside id="value" hidden>
      <div class="bar"><h2 id="value-key"></h2><button id="value-close" aria-label="Close">×</button></div>
      <p id="value-size"></p>
      <div id="value-forms" role="group" aria-label="Show as"></div>
      <pre id="value-body"></pre>
      <div id="value-edit" hidden>
        <textarea id="edit-text" aria-label="New value" rows="6" spellcheck="false"></textarea>
        <div class="actions"><button id="edit-save">Save as text</button><span id="edit-done" role="status"></span><button id="edit-delete" class="danger">Delete key</button></div>
      </div>
    </aside>
  </section>
  <section id="map" role="tabpanel" aria-labelledby="tab-map" hidden>
    <div class="bar"><h2>Pages</h2><span id="map-hover"></span><label>Go to page <input id="goto-page" type="number" min="0" placeholder="number"></label></div>
    <p id="map-hint" class="hint"></p>
    <div class="split"><div><canvas id="map-canvas" aria-label="Page map; click a page to see what is on it"></canvas><ul id="legend"></ul></div><aside id="page" hidden></aside></div>
  </section>
  <section id="check" role="tabpanel" aria-labelledby="tab-check" hidden>
    <div class="bar"><h2>Check</h2><button id="check-run">Run the check</button></div>
    <p id="check-result" role="status">Looks at every page that can be reached, at the order of keys and at the list of free pages. A large file takes a while.</p>
    <ul id="check-problems"></ul>
  </section>
</main>
</body>
</html>
`;
}
