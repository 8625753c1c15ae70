// The look of the citizen pages: one style sheet of our own, no fonts or pictures from anywhere, made to be read on a phone
// (320 px and up), by day and by night, by keyboard and by a screen reader (WCAG 2.2 AA): contrast of text 4.5 to 1 or
// more, targets of 44 px, a focus that is always seen. Buttons of one form weigh the same: none persuades.
import { sha256 } from '#certs/commitment.ts';
import { FRAME_STYLE } from '#core/http/pages/style.ts';

export const STYLE = `
${FRAME_STYLE}
:root { --bar: #12304f }
@media (prefers-color-scheme: dark) { :root { --bar: #0b2138 } }
html { font-size: 100%; line-height: 1.55 }
:lang(zh) { line-height: 1.7; line-break: strict; text-autospace: normal }
p { margin: 0 0 .9rem; text-wrap: pretty }
a:hover { text-decoration-thickness: .15em }
.visually-hidden { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0 }
.wide { max-width: 46rem }
.bar .wide { padding-top: .2rem; padding-bottom: .2rem }
.bar a:hover { text-decoration: underline }
.bar .home { font-size: 1.05rem }
.pages nav a:hover { text-decoration: underline }
main { flex: 1 0 auto; padding-top: 1.5rem; padding-bottom: 3rem }
footer { font-size: .9rem }
footer .wide { padding-top: 1rem; padding-bottom: 1.25rem }
footer p { margin: .25rem 0 }
h1, h2, h3 { text-wrap: balance; line-height: 1.35 }
:lang(zh) :is(h1, h2, h3) { text-wrap: pretty }
h1 { font-size: 1.6rem; margin: 0 0 1.1rem }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem }
h3 { font-size: 1.1rem; margin: 1.5rem 0 .5rem }
@media (min-width: 40rem) { h1 { font-size: 2rem } h2 { font-size: 1.4rem } }
dl { margin: 0 0 1.25rem; border-top: 1px solid var(--line) }
dl > div { padding: .55rem 0; border-bottom: 1px solid var(--line) }
dt { font-weight: 600; color: var(--soft); font-size: .9rem }
dd { margin: 0 }
dd ul { margin: 0 }
@media (min-width: 40rem) { dl > div { display: grid; grid-template-columns: 12rem 1fr; gap: 1rem } dt { font-size: 1rem } }
fieldset { border: 0; margin: 0 0 1.75rem; padding: 0; min-width: 0 }
legend { font-weight: 700; font-size: 1.1rem; padding: 0; margin-bottom: .6rem }
.item { border: 1px solid var(--line); border-radius: 4px; padding: .35rem .75rem .6rem; margin-bottom: .6rem }
.item:has(:checked) { border-color: var(--strong); box-shadow: inset 0 0 0 1px var(--strong) }
.item > p { margin: 0 0 .15rem 3rem; font-size: .925rem }
.item > div.hint { margin-left: 3rem; font-size: .925rem }
.item > div.hint > p { margin: 0 0 .15rem }
.item > details { margin-left: 3rem }
.tick { display: flex; gap: .75rem; align-items: center; min-height: 44px }
.tick input { flex: none; width: 2.25rem; height: 2.25rem; margin: 0; accent-color: var(--strong) }
.tick label { flex: 1; padding: .5rem 0; font-weight: 600; font-size: 1.05rem }
label, select, input, textarea { font: inherit }
main form > div:not([class]), main form > p, form > .field-row { margin: 0 0 1.25rem }
main form > div > label, main form > p > label { display: inline-block; font-weight: 600; margin-bottom: .25rem }
select, input:not([type=checkbox], [type=radio], [type=hidden]), textarea { display: block; width: 100%; max-width: 26rem; margin-bottom: 1.25rem; min-height: 44px; padding: .4rem .6rem; color: var(--ink); background: var(--paper); border: 2px solid var(--ink); border-radius: 4px }
textarea { max-width: none }
summary { min-height: 44px; padding: .6rem 0; color: var(--link); text-decoration: underline; text-underline-offset: .18em; cursor: pointer }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 }
.buttons > * { flex: 1 1 9rem; margin: 0 }
.buttons form button { width: 100%; height: 100% }
button, .button { display: inline-flex; align-items: center; justify-content: center; min-height: 48px; padding: .55rem 1.1rem; font: inherit; font-weight: 600; color: var(--ink); background: var(--shade); border: 2px solid var(--ink); border-radius: 4px; cursor: pointer; text-decoration: none; text-align: center }
button:hover { background: var(--press) }
.button { color: var(--on-strong); background: var(--strong); border-color: var(--strong) }
.button:hover { text-decoration: underline }
.plain, .plain:hover { min-height: 44px; border-color: transparent; background: none; color: var(--link); font-weight: 400; padding: .55rem 0 }
.plain:hover { text-decoration: underline }
.box { border: 3px solid var(--strong); border-radius: 4px; padding: 1rem; margin: 0 0 1.5rem }
.box.error { border-color: var(--error) }
.box > :first-child { margin-top: 0 }
.box > :last-child { margin-bottom: 0 }
.wrong { border-left: 5px solid var(--error); padding-left: .9rem }
.error-text { color: var(--error); font-weight: 700; margin: 0 0 .5rem }
.notice { white-space: pre-wrap; font-size: .925rem; background: var(--shade); border-left: 5px solid var(--line); padding: .75rem 1rem; margin: 0 0 1rem }
.told { border-bottom: 3px solid var(--error); background: var(--shade) }
.told p { margin: 0; padding: .6rem 0 .1rem }
.told a { display: inline-flex; align-items: center; min-height: 44px }
.card { border: 1px solid var(--line); border-radius: 4px; padding: 1rem; margin: 0 0 1.25rem }
.card > h2, .card > h3 { margin: 0 0 .6rem; font-size: 1.15rem }
.card p { margin: .25rem 0 }
.card > dl { margin-bottom: .75rem }
.card > :last-child { margin-bottom: 0 }
.card > h2 > a { display: flex; align-items: center; min-height: 44px }
.choices { list-style: none; padding: 0 }
.choices li { margin: 0 0 .75rem }
.choices a, .choices button { width: 100%; max-width: 24rem }
main p > a:only-child, .box li > a { display: inline-flex; align-items: center; min-height: 44px }
main p > a.button { min-height: 48px }
.state { display: inline-block; background: var(--shade); border: 1px solid var(--ink); border-radius: 4px; padding: 0 .6rem; font-weight: 700 }
.hint { color: var(--soft) }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .875em; color: var(--soft) }
main ul { padding-left: 1.25rem; margin: .25rem 0 1rem }
main li { margin: .3rem 0 }
main nav ul { padding-left: 0 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: start; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid var(--line) }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; scroll-behavior: auto !important } }
@media (forced-colors: active) { :focus-visible { outline: 3px solid } .item:has(:checked) { border-width: 3px } }
@media print { .bar, .pages, .skip, .buttons, form button { display: none } body { display: block } }
`.trim();

/** Changes with the sheet, so that it may be kept for ever. */
export const STYLE_PATH = `/style-${sha256(STYLE).slice(0, 16)}.css`;

/** Two lines that meet in a tick: browsers ask for a picture of a site, and would ask at a place that is not there. */
export const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="6" fill="#12304f"/><path d="M7 17l6 6L25 10" fill="none" stroke="#fff" stroke-width="4"/></svg>';

export const ICON_PATH = `/icon-${sha256(ICON).slice(0, 16)}.svg`;
