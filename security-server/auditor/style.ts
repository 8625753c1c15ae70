// The look of the auditor's pages: one style sheet of our own, nothing from anywhere else; read at 320 px and up, by day and by
// night, by keyboard and by a screen reader (WCAG 2.2 AA), and on paper, where an auditor files it.
import { sha256 } from '#certs/commitment.ts';
import { FRAME_STYLE } from '#core/http/pages/style.ts';

export const STYLE = `
${FRAME_STYLE}
:root { --bar: #26323c }
@media (prefers-color-scheme: dark) { :root { --bar: #0e1419 } }
html { font-size: 100%; line-height: 1.5 }
:lang(zh) { line-height: 1.65; line-break: strict }
p { margin: 0 0 .8rem }
.wide { max-width: 60rem }
main { flex: 1 0 auto; padding-top: 1.25rem; padding-bottom: 3rem }
footer { font-size: .875rem }
footer p { margin: .75rem 0 }
h1, h2, h3 { line-height: 1.3; text-wrap: balance }
h1 { font-size: 1.5rem; margin: 0 0 1rem }
h2 { font-size: 1.2rem; margin: 2rem 0 .6rem }
h3 { font-size: 1.05rem; margin: 0 0 .4rem }
code { overflow-wrap: anywhere }
code.long { word-break: break-all }
code, pre { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875em }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--shade); border-left: 5px solid var(--line); padding: .75rem 1rem; margin: 0 0 1rem }
dl { margin: 0 0 1rem }
dl > div { padding: .25rem 0 }
dt { font-weight: 600; color: var(--soft); font-size: .875rem }
dd { margin: 0 }
@media (min-width: 40rem) { h1 { font-size: 1.8rem } dl > div { display: grid; grid-template-columns: 13rem 1fr; gap: 1rem } dt { font-size: 1rem } }
label, select, input, textarea, button { font: inherit }
.field { margin: 0 0 1rem }
.field label { display: block; font-weight: 600 }
.hint { color: var(--soft); font-size: .925rem }
.field .hint { display: block; margin: 0 0 .25rem }
select, input:not([type=checkbox], [type=radio], [type=hidden]) { display: block; width: 100%; max-width: 36rem; min-height: 44px; padding: .35rem .6rem; color: var(--ink); background: var(--paper); border: 2px solid var(--ink); border-radius: 4px }
@media (min-width: 48rem) { .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.5rem; align-items: end } .fields .whole { grid-column: 1 / -1 } .fields .whole input { max-width: none } }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; min-width: 0 }
legend { font-weight: 600; padding: 0 }
.tick { display: flex; gap: .75rem; align-items: center; min-height: 44px }
.tick + .field, .error-text + .field { margin-top: .8rem }
.tick input { flex: none; width: 1.75rem; height: 1.75rem; margin: 0; accent-color: var(--strong) }
button, .button { display: inline-flex; align-items: center; justify-content: center; min-height: 44px; padding: .45rem 1.1rem; font-weight: 600; color: var(--on-strong); background: var(--strong); border: 2px solid var(--strong); border-radius: 4px; cursor: pointer; text-decoration: none; text-align: center }
button:hover, .button:hover { text-decoration: underline }
.plain { border-color: transparent; background: none; color: var(--link); font-weight: 400; padding: .45rem 0 }
.box { border: 3px solid var(--strong); border-radius: 4px; padding: .8rem 1rem; margin: 0 0 1.25rem }
.box li > a { display: block; width: fit-content; min-height: 44px; padding: .55rem 0 }
.box.error, .box.bad { border-color: var(--error) }
.box.good { border-color: var(--good) }
.box > :first-child { margin-top: 0 }
.box > :last-child { margin-bottom: 0 }
.box .said { font-size: 1.25rem; font-weight: 700; margin-bottom: .25rem }
.wrong { border-left: 5px solid var(--error); padding-left: .9rem }
.error-text { color: var(--error); font-weight: 700; display: block }
.rows, .steps, .checks { list-style: none; margin: 0 0 1rem; padding: 0 }
.rows > li, .steps > li { border-top: 1px solid var(--line); padding: .7rem 0 }
.rows > li:last-child, .steps > li:last-child, .checks > li:last-child { border-bottom: 1px solid var(--line) }
.rows a.id, main p > a:only-child { display: inline-flex; align-items: center; min-height: 44px }
.rows p { margin: 0 }
.rows .top { display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: baseline }
.steps > li { border-left: 5px solid var(--line); padding-left: 1rem; margin: 0; border-top: 0; margin-bottom: .75rem }
.steps > li:last-child { border-bottom: 0 }
.steps > li.other { border-left-color: var(--strong) }
.steps p { margin: 0 0 .2rem }
.steps dl { margin: .3rem 0 .4rem }
.steps dl > div { padding: .1rem 0 }
.checks > li { border-top: 1px solid var(--line); padding: .35rem 0; display: grid; grid-template-columns: 2rem 1fr; gap: 0 .5rem }
.checks .number { color: var(--soft); text-align: end }
.checks .more { grid-column: 2; color: var(--soft); font-size: .925rem }
@media (min-width: 48rem) { .checks > li { grid-template-columns: 2rem 17rem 9rem 1fr } .checks .more { grid-column: auto } }
.checks .state { grid-column: 2 }
@media (min-width: 48rem) { .checks .state { grid-column: auto } }
.state { font-weight: 700 }
.state.good, .good > .said { color: var(--good) }
.state.bad, .bad > .said { color: var(--error) }
details { margin: 0 0 1rem }
summary { min-height: 44px; padding: .55rem 0; color: var(--link); text-decoration: underline; text-underline-offset: .18em; cursor: pointer }
details > :last-child { margin-bottom: 0 }
progress { width: 100%; max-width: 36rem; height: 1.25rem; display: block; margin: 0 0 .5rem; accent-color: var(--strong) }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important } }
@media (forced-colors: active) { :focus-visible { outline: 3px solid } }
@media print { :root { --ink: #000; --soft: #333; --paper: #fff; --shade: #fff; --line: #888; --error: #000; --good: #000; --strong: #000; --link: #000 } .bar nav, .pages, .skip, .screen, form, details { display: none } .bar { background: none } .bar a { color: #000 } html { font-size: 10pt } body { display: block } .wide { max-width: none; padding: 0 } .rows > li, .steps > li, .checks > li, .box { break-inside: avoid } h2 { break-after: avoid } .checks > li { grid-template-columns: 2rem 12rem 7rem 1fr } .checks .state, .checks .more { grid-column: auto } dl > div { display: grid; grid-template-columns: 11rem 1fr; gap: 1rem } a { text-decoration: none } }
`.trim();

/** Changes with the sheet, so that it may be kept for ever. */
export const STYLE_PATH = `/auditor/style-${sha256(STYLE).slice(0, 16)}.css`;

/** A tick under a glass: browsers ask for a picture of a site, and would ask at a place that is not there. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#26323c"/><circle cx="14" cy="14" r="8" fill="none" stroke="#fff" stroke-width="3"/><path d="M20 20l6 6" stroke="#fff" stroke-width="4"/><path d="M10 14l3 3L18 11" fill="none" stroke="#fff" stroke-width="2.5"/></svg>';

export const ICON_PATH = `/auditor/icon-${sha256(ICON).slice(0, 16)}.svg`;
