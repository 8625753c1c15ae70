// The look of the citizen pages: one style sheet of our own, no fonts or pictures from anywhere, made to be read on a phone
// (320 px and up), by keyboard and by a screen reader (WCAG 2.2 AA): contrast of text 4.5 to 1 or more, targets of 44 px,
// a focus that is always seen.
import { sha256 } from '#certs/commitment.ts';

export const STYLE = `
*, *::before, *::after { box-sizing: border-box }
html { font: 100%/1.5 system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; color: #0b0c0c; background: #fff; -webkit-text-size-adjust: 100% }
body { margin: 0; overflow-wrap: anywhere }
a { color: #1a4f8b; text-underline-offset: .15em }
a:hover { text-decoration-thickness: .15em }
:focus-visible, summary:focus-visible { outline: 3px solid #0b0c0c; outline-offset: 2px; box-shadow: 0 0 0 5px #fd0; }
.visually-hidden { position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; border: 0 }
.skip { position: absolute; left: -999em }
.skip:focus { position: static; display: block; padding: .75rem 1rem; background: #fd0; color: #0b0c0c }
header, main, footer { max-width: 46rem; margin: 0 auto; padding: 0 1rem }
.bar { background: #12304f; color: #fff }
.bar header { display: flex; flex-wrap: wrap; gap: 0 1.5rem; align-items: center; justify-content: space-between; padding-top: .25rem; padding-bottom: .25rem }
.bar a { color: #fff }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.25rem; list-style: none; margin: 0; padding: 0 }
nav a, .bar header > a { display: inline-flex; align-items: center; min-height: 44px; min-width: 44px }
nav a[aria-current] { font-weight: 700; text-decoration: none; border-bottom: 3px solid currentcolor }
.pages { border-bottom: 1px solid #b1b4b6 }
.pages nav, .pages form { display: inline-block }
.pages header { display: flex; flex-wrap: wrap; gap: 0 1.25rem; align-items: center; justify-content: space-between }
main { padding-top: 1.5rem; padding-bottom: 3rem }
footer { border-top: 1px solid #b1b4b6; padding-top: 1rem; padding-bottom: 2rem; color: #44494d }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 0 0 1rem }
h2 { font-size: 1.3rem; line-height: 1.3; margin: 2rem 0 .75rem }
h3 { font-size: 1.1rem; margin: 0 0 .5rem }
dl { margin: 0; border-top: 1px solid #b1b4b6 }
dl > div { padding: .6rem 0; border-bottom: 1px solid #b1b4b6 }
dt { font-weight: 700 }
dd { margin: 0 }
@media (min-width: 40rem) { dl > div { display: grid; grid-template-columns: 13rem 1fr; gap: 1rem } }
fieldset { border: 0; margin: 0 0 1.5rem; padding: 0; min-width: 0 }
legend { font-weight: 700; font-size: 1.1rem; padding: 0; margin-bottom: .5rem }
.item { border: 1px solid #b1b4b6; padding: .5rem .75rem; margin-bottom: .75rem }
.tick { display: flex; gap: .75rem; align-items: center; min-height: 44px }
.tick input { flex: none; width: 2.25rem; height: 2.25rem; margin: 0; accent-color: #12304f }
.tick label { flex: 1; padding: .5rem 0; font-weight: 600 }
summary { min-height: 44px; padding: .6rem 0; color: #1a4f8b; text-decoration: underline; cursor: pointer }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0 }
.buttons > * { flex: 1 1 14rem; margin: 0 }
.buttons form button { width: 100% }
button, .button { display: inline-flex; align-items: center; justify-content: center; min-height: 48px; padding: .6rem 1.1rem; font: inherit; font-weight: 600; color: #0b0c0c; background: #f3f2f1; border: 2px solid #0b0c0c; border-radius: 0; cursor: pointer; text-decoration: none; text-align: center }
button:hover, .button:hover { background: #dcdbda }
.plain { min-height: 44px; border-color: transparent; background: none; color: #1a4f8b; text-decoration: underline; font-weight: 400; padding: .6rem 0 }
.box { border: 4px solid #1a4f8b; padding: 1rem; margin: 0 0 1.5rem }
.box.error { border-color: #b3200b }
.box h2 { margin-top: 0 }
.wrong { border-left: 5px solid #b3200b; padding-left: .9rem }
.error-text { color: #b3200b; font-weight: 700; margin: 0 0 .5rem }
.notice { white-space: pre-wrap; border-left: 5px solid #b1b4b6; padding: .25rem 0 .25rem 1rem; margin: 0 }
.card { border: 1px solid #b1b4b6; padding: 1rem; margin: 0 0 1.25rem }
.card p { margin: .25rem 0 }
main p > a:only-child, .box li > a { display: inline-flex; align-items: center; min-height: 44px }
main p > a.button { min-height: 48px }
.state { display: inline-block; border: 2px solid #0b0c0c; padding: 0 .5rem; font-weight: 700 }
.hint { color: #44494d }
code { font-family: ui-monospace, Menlo, Consolas, monospace; font-size: .95em }
main ul { padding-left: 1.25rem }
main li { margin: .25rem 0 }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; scroll-behavior: auto !important } }
@media (forced-colors: active) { :focus-visible { outline: 3px solid } }
@media print { .bar, .pages, .skip, .buttons { display: none } }
`.trim();

/** Changes with the sheet, so that it may be kept for ever. */
export const STYLE_PATH = `/style-${sha256(STYLE).slice(0, 16)}.css`;
