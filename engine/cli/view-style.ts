/** The viewer's style sheet. */

/** Served as view.css. */
export const STYLE: string = `:root { color-scheme: light dark; --line: light-dark(#d9dde3, #3a3f47); --soft: light-dark(#f4f6f8, #22262b); --dim: light-dark(#5c6673, #9aa4b1); --accent: light-dark(#1f6fd1, #6fb1ff); --bad: light-dark(#b3261e, #ff8a80); }
@supports not (color: light-dark(white, black)) { :root { --line: #d9dde3; --soft: #f4f6f8; --dim: #5c6673; --accent: #1f6fd1; --bad: #b3261e; } }
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; display: flex; flex-direction: column; height: 100vh; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 8px 24px; padding: 8px 16px; border-bottom: 1px solid var(--line); }
.badge { border: 1px solid var(--line); border-radius: 10px; padding: 0 9px; color: var(--dim); font-size: 12px; cursor: help; } .hint { color: var(--dim); }
.actions { display: flex; align-items: center; gap: 10px; margin-top: 6px; } .actions .danger { margin-left: auto; color: var(--bad); } #edit-done { color: light-dark(#13795b, #63d3a6); }
h1 { font-size: 16px; margin: 0; }
h2 { font-size: 14px; margin: 0; overflow-wrap: anywhere; }
button, input, textarea { font: inherit; }
button { border: 1px solid var(--line); border-radius: 5px; background: var(--soft); color: inherit; padding: 3px 10px; cursor: pointer; max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
button:disabled { opacity: .45; cursor: default; }
button[aria-selected=true], button[aria-pressed=true] { border-color: var(--accent); color: var(--accent); font-weight: 600; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
input { border: 1px solid var(--line); border-radius: 5px; background: transparent; color: inherit; padding: 3px 8px; }
#prefix { width: 15em; } #goto-page { width: 8em; }
nav { display: flex; gap: 6px; }
dl { display: flex; gap: 20px; margin: 0 0 0 auto; } dl div { display: flex; flex-direction: column; } dt { color: var(--dim); font-size: 11px; } dd { margin: 0; font-variant-numeric: tabular-nums; }
#message { margin: 0; padding: 8px 16px; color: var(--bad); border-bottom: 1px solid var(--line); }
main { flex: 1; min-height: 0; } main > section { height: 100%; overflow: auto; padding: 12px 16px; }
#content { display: flex; gap: 16px; padding: 0 16px 0 0; overflow: hidden; }
#tree { width: 260px; flex: none; overflow: auto; border-right: 1px solid var(--line); padding: 10px 4px; }
#tree ul { list-style: none; margin: 0; padding-left: 16px; } #tree > ul { padding-left: 4px; }
#tree .row { display: flex; align-items: center; }
#tree .twist { border: 0; background: none; width: 22px; flex: none; padding: 0; color: var(--dim); }
#tree .name { border: 0; background: none; text-align: left; padding: 2px 6px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 100%; }
#tree .name[aria-current=true] { background: var(--soft); color: var(--accent); font-weight: 600; }
#entries { flex: 1; min-width: 0; overflow: auto; padding: 12px 0; }
.bar { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; margin-bottom: 8px; } .bar h2 { margin-right: auto; }
.pager { display: flex; gap: 4px; }
#bucket-stats button { padding: 0 5px; font-size: 12px; } #tree li.hint { padding-left: 22px; font-size: 12px; } #map-hint { margin: 0 0 8px; font-size: 12px; }
#bucket-stats, #value-size { color: var(--dim); margin: 0 0 8px; font-size: 12px; }
/* The figures come after the rows, which must not move away from under the mouse: their line is there before, as high as the button in it. */
#bucket-stats { min-height: calc(1.45em + 2px); }
table { border-collapse: collapse; width: 100%; table-layout: fixed; } th { text-align: left; color: var(--dim); font-weight: 500; font-size: 12px; }
th:nth-child(1) { width: 38%; } th:nth-child(2) { width: 84px; text-align: right; padding-right: 16px; }
td { border-top: 1px solid var(--line); padding: 3px 6px 3px 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-family: ui-monospace, monospace; font-size: 12.5px; } td:nth-child(2) { text-align: right; padding-right: 16px; font-variant-numeric: tabular-nums; }
tbody tr { cursor: pointer; } tbody tr:hover, tbody tr[aria-selected=true] { background: var(--soft); }
td button { border: 0; background: none; padding: 0; color: var(--accent); font: inherit; max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
#value { width: 38%; flex: none; overflow: auto; border-left: 1px solid var(--line); padding: 12px 0 12px 16px; }
#value-forms { display: flex; flex-wrap: wrap; gap: 4px; margin-bottom: 8px; }
pre { background: var(--soft); padding: 10px; border-radius: 6px; margin: 0 0 10px; overflow: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12.5px; }
textarea { width: 100%; font: 12.5px/1.45 ui-monospace, monospace; padding: 8px; background: transparent; color: inherit; border: 1px solid var(--line); border-radius: 5px; }
.split { display: flex; gap: 20px; align-items: flex-start; } .split > div { flex: 1; min-width: 0; } .split > aside { width: 40%; flex: none; }
canvas { display: block; cursor: pointer; } #map-hover { color: var(--dim); }
#legend { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 16px; padding: 0; } #legend li { max-width: 100%; display: flex; align-items: center; } #legend button { max-width: 26em; white-space: nowrap; } .split > aside h2, .split > aside p { overflow-wrap: anywhere; } .split > aside p button { text-align: left; overflow-wrap: anywhere; } #legend i { display: inline-block; flex: none; width: 11px; height: 11px; border-radius: 2px; margin-right: 6px; }
#check-problems { font-family: ui-monospace, monospace; font-size: 12.5px; color: var(--bad); }
#check-problems li { margin: 3px 0; } #check-problems button { padding: 0 6px; }
.good { color: light-dark(#13795b, #63d3a6); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
@media (max-width: 800px) { #content, .split { flex-direction: column; align-items: stretch; overflow: auto; } #tree, #value, .split > aside { width: auto; border: 0; } #tree { max-height: 35vh; } #entries { flex: none; } dl { margin-left: 0; flex-wrap: wrap; } }
`;
