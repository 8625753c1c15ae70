// The look of the frame, and the colours of whatever stands in it; each service's own sheet follows behind it. No fonts or
// pictures from anywhere; read on a phone (320 px and up), by day and by night, by keyboard and by a screen reader (WCAG 2.2 AA):
// contrast of text 4.5 to 1 or more, targets of 44 px, a focus that is always seen.

/** The colour of the bar, `--bar`, is each service's own. */
export const FRAME_STYLE = `
:root { color-scheme: light dark; --ink: #14191e; --soft: #4b535b; --paper: #fff; --shade: #f3f5f7; --line: #c2c8ce; --link: #174f90; --strong: #174f90; --on-strong: #fff; --press: #e3e7eb; --error: #b3200b; --good: #155c2b; --ring: #14191e; --glow: #fd0 }
@media (prefers-color-scheme: dark) { :root { --ink: #eceff2; --soft: #b6bfc8; --paper: #13181d; --shade: #1e252c; --line: #4a545e; --link: #92c3ff; --strong: #92c3ff; --on-strong: #0c1a29; --press: #2d3740; --error: #ff9d8c; --good: #8fdba6; --ring: #fd0; --glow: #13181d } }
*, *::before, *::after { box-sizing: border-box }
html { font-family: system-ui, -apple-system, "Segoe UI", "PingFang SC", "HarmonyOS Sans SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; color: var(--ink); background: var(--paper); -webkit-text-size-adjust: 100% }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; overflow-wrap: anywhere }
a { color: var(--link); text-underline-offset: .18em }
:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; box-shadow: 0 0 0 5px var(--glow) }
main:focus { outline: none; box-shadow: none }
.skip { position: absolute; left: -999em }
.skip:focus { position: static; display: block; padding: .75rem 1rem; background: #fd0; color: #14191e }
.wide { width: 100%; margin: 0 auto; padding-left: 1rem; padding-right: 1rem }
.bar { background: var(--bar); color: #fff }
.bar .wide, .pages .wide { display: flex; flex-wrap: wrap; gap: 0 1.1rem; align-items: center }
.bar nav, .pages form { margin-left: auto }
.pages nav, .pages ul { display: contents }
.bar a { color: #fff; text-decoration: none }
.bar .home { font-weight: 700 }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.25rem; list-style: none; margin: 0; padding: 0 }
nav li { margin: 0 }
nav a, .bar .home { display: inline-flex; align-items: center; min-height: 44px; min-width: 44px; border-bottom: 3px solid transparent; border-top: 3px solid transparent }
.pages nav a { text-decoration: none }
nav a[aria-current] { font-weight: 700; border-bottom-color: currentcolor }
.pages { border-bottom: 1px solid var(--line) }
footer { background: var(--shade); border-top: 1px solid var(--line); color: var(--soft) }
`.trim();
