// What a citizen has decided: what is in force, paused and ended, each with one click to end it; and the receipts.
import { readReceipt } from '#certs/receipt.ts';
import type { CheckedReceipt } from '#consent-service/check-receipt.ts';
import type { ConsentView } from '#consent-service/consents.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { type Body, csrfField } from '#core/http/pages/frame.ts';
import { bannerOf, beyondOf, decidedByRow, forWhom, placeOf, stateText } from './acting-parts.ts';
import { verdictOf } from './check-page.ts';
import type { Done } from './flash.ts';
import { named, timeOf } from './parts.ts';
import type { Voice } from './words.ts';

export function permissionsPage(voice: Voice, views: readonly ConsentView[], csrf: string): Body {
  const { words, language } = voice;
  const groups = [
    { name: words.inForce, views: views.filter(({ state }) => state === 'GIVEN') },
    { name: words.paused, views: views.filter(({ state }) => state === 'SUSPENDED') },
    { name: words.ended, views: views.filter(({ state }) => state !== 'GIVEN' && state !== 'SUSPENDED') },
  ];
  const shown = groups.filter((group) => group.views.length > 0);
  const sections = shown.map(({ name, views }) => {
    const cards = views.map((view) => {
      const what = `${view.client.name}${voice.marks.colon}${view.purpose.title[language]}`;
      return html`<div class="card"><h3>${apart(what)}</h3>
${briefOf(voice, view)}
<p><a href="${placeOf(view)}/permissions/${view.id}">${words.details}<span class="visually-hidden"> ${words.detailsOf(what)}</span></a></p>
${buttonsOf(voice, view, csrf)}</div>
`;
    });
    return html`<section><h2>${name}</h2>
${cards}</section>
`;
  });
  return {
    title: words.permissions,
    content: sections.length === 0 ? html`<p>${words.permissionsNone}</p>` : html`${sections}`,
  };
}

/** @param done what the last form did, and when */
export function permissionPage(
  voice: Voice,
  view: ConsentView,
  csrf: string,
  done: { kind: Done; atMs: number } | null,
): Body {
  const { words, language, marks } = voice;
  const itemsOf = (isGiven: boolean) =>
    view.services.flatMap(({ provider, title, items, given }) =>
      items
        .filter(({ element }) => given.includes(element) === isGiven)
        .map(
          ({ labels }) =>
            html`<li>${apart(labels[language])}${marks.open}${apart(provider)}${marks.comma}${apart(title)}${marks.close}</li>`,
        ),
    );
  const [given, left] = [itemsOf(true), itemsOf(false)];
  const bound = view.revocationBoundS;
  const content = html`${bannerOf(voice, view.actingFor)}${
    done &&
    html`<div class="box" role="status"><h2>${words.doneTitle}</h2><p>${words.done[done.kind](bound, voice.second(done.atMs + bound * 1000))}</p></div>
`
  }${summaryOf(voice, view)}
${buttonsOf(voice, view, csrf)}
${given.length > 0 && html`<h2>${words.givenItems}</h2><ul>${given}</ul>`}
${left.length > 0 && html`<h2>${words.notGiven}</h2><ul>${left}</ul>`}
${view.actingFor === null && html`<p><a href="/permissions/${view.id}/receipts">${words.receipts}</a></p>`}
<details><summary>${words.noticeTitle}</summary><div class="notice" dir="auto">${view.notice[language]}</div></details>`;
  const title = words.permissionTitle(named(view.client.name), named(view.purpose.title[language]));
  return { title: `${title}${forWhom(voice, view)}`, content };
}

/** Of one among others. */
function briefOf(voice: Voice, view: ConsentView): Html {
  const { words, marks } = voice;
  const { state, validUntilMs, decidedAtMs } = view;
  const isLive = state === 'GIVEN' || state === 'SUSPENDED';
  const when = isLive ? validUntilMs : decidedAtMs;
  const others = decidedByRow(voice, view).map(([label, who]) => html`<p>${label}${marks.colon}${who}</p>`);
  return html`<p><span class="state">${stateText(voice, view)}</span></p>
${others}${when !== null && html`<p>${isLive ? words.validUntil : words.decided}${marks.colon}${timeOf(voice, when)}</p>`}
${isLive && html`<p>${words.lastUsed}${marks.colon}${lastUsedOf(voice, view)}</p>`}`;
}

function summaryOf(voice: Voice, view: ConsentView): Html {
  const { words } = voice;
  const { state, client, decidedAtMs, validUntilMs, revocationBoundS } = view;
  const isLive = state === 'GIVEN' || state === 'SUSPENDED';
  const rows: (readonly [string, Html])[] = [
    [words.state, html`<span class="state">${stateText(voice, view)}</span>`],
    ...decidedByRow(voice, view),
    [words.who, html`${apart(client.name)} <code>${client.id}</code>`],
    ...(decidedAtMs === null ? [] : [[words.decided, timeOf(voice, decidedAtMs)] as const]),
    ...(isLive
      ? ([
          [words.validUntil, timeOf(voice, validUntilMs)],
          [words.usesLeft, usesLeftOf(voice, view)],
          ...leftNowRow(voice, view),
          [words.changeMind, html`${words.changeMindText(revocationBoundS)}`],
        ] as const)
      : []),
    ...(isLive ? [[words.lastUsed, lastUsedOf(voice, view)] as const] : []),
  ];
  return html`<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>`;
}

function usesLeftOf(voice: Voice, { uses, services }: ConsentView): Html {
  const { words } = voice;
  const told = byService(voice, services, ({ times }) =>
    uses === null ? words.usedTimes(times) : words.usesLeftAt(Math.max(0, uses - times), String(uses)),
  );
  if (told === null) return html`${words.usesLeftUnknown(uses)}`;
  return html`${uses === null && html`${words.usesLeftUnknown(null)}`}${told}`;
}

/** Within the days of the frequency, and never more than is left in all; no row without a frequency. */
function leftNowRow(voice: Voice, { uses, frequency, services }: ConsentView): (readonly [string, Html])[] {
  const { words } = voice;
  if (frequency === null) return [];
  const told = byService(voice, services, ({ times, inWindow }) => {
    const inAll = uses === null ? frequency.uses : uses - times;
    return words.leftNowAt(Math.max(0, Math.min(frequency.uses - inWindow, inAll)), frequency);
  });
  return [[words.leftNow, told ?? html`${words.leftNowUnknown(frequency)}`]];
}

/** Service by service, as far as the providers say; null when none does. */
function byService(
  voice: Voice,
  services: ConsentView['services'],
  said: (used: NonNullable<ConsentView['services'][number]['used']>) => string,
): Html | null {
  const told = services.flatMap(({ provider, title, used }) =>
    used === null ? [] : [{ name: `${provider}${voice.marks.comma}${title}`, text: said(used) }],
  );
  if (told.length === 0) return null;
  const isPartly = services.some(({ given, used }) => given.length > 0 && used === null);
  const { looked, lastUsedUnknown } = voice.words;
  return html`<ul>${told.map(({ name, text }) => html`<li>${apart(name)}${voice.marks.colon}${text}</li>`)}</ul>${
    isPartly && html`${looked.others}${voice.marks.colon}${lastUsedUnknown}`
  }`;
}

function lastUsedOf(voice: Voice, { services, lastUsedAtMs }: ConsentView): Html {
  const { words } = voice;
  if (lastUsedAtMs !== null) return timeOf(voice, lastUsedAtMs);
  const isKnown = services.every(({ given, used }) => given.length === 0 || used !== null);
  return html`${isKnown ? words.lastUsedNever : words.lastUsedUnknown}`;
}

function buttonsOf(voice: Voice, view: ConsentView, csrf: string): Html | null {
  const { words, language } = voice;
  const { id, state, client, purpose } = view;
  if (state !== 'GIVEN' && state !== 'SUSPENDED') return null;
  const beyond = beyondOf(voice, view);
  const why = beyond && html`<p class="hint">${beyond.why}</p>`;
  if (beyond?.all === true) return why;
  const about = html`<span class="visually-hidden"> ${client.name}${voice.marks.colon}${purpose.title[language]}</span>`;
  const button = (step: string, name: string) =>
    html`<form method="post" action="${placeOf(view)}/permissions/${id}/${step}">${csrfField(csrf)}<button>${name}${about}</button></form>`;
  const pause = state === 'GIVEN' ? button('pause', words.pause) : button('resume', words.resume);
  return html`<div class="buttons">${button('withdraw', words.withdraw)}${beyond === null && pause}</div>${why}`;
}

/** @param check whether a receipt is genuine and counts at `nowMs` */
export function receiptsPage(
  voice: Voice,
  view: ConsentView,
  check: (jws: string) => CheckedReceipt,
  nowMs: number,
): Body {
  const { words, language } = voice;
  const cards = view.receipts.map(({ service, jti, jws }) => {
    const known = view.services.find((one) => one.service === service);
    const title = known?.title ?? service;
    return html`<section class="card"><h2>${apart(title)}</h2>
${verdictOf(voice, check(jws), nowMs, 3)}
${decodedOf(voice, view, jws)}
<p><a class="button" href="/permissions/${view.id}/receipts/${jti}.jws" download>${words.download}<span class="visually-hidden"> ${words.downloadOf(title)}</span></a></p></section>
`;
  });
  return {
    title: words.receiptsTitle(named(view.client.name), named(view.purpose.title[language])),
    content: html`<p>${words.receiptsText}</p>
${cards.length === 0 ? html`<p>${words.receiptsNone}</p>` : cards}
<p><a href="/verify">${words.check}</a></p>
<p><a href="/permissions/${view.id}">${words.back}</a></p>`,
  };
}

/** What the receipt itself says, item by item; only what it names is called by the names that stood in the request. */
function decodedOf(voice: Voice, view: ConsentView, jws: string): Html {
  const { words, language } = voice;
  const { receipt, hash } = readReceipt(jws);
  const labels = new Map(
    view.services.flatMap(({ items }) => items.map(({ element, labels }) => [element, labels[language]])),
  );
  const items = receipt.elements.map(
    (element) => html`<li>${apart(labels.get(element) ?? element)} <code>${element}</code></li>`,
  );
  const { id, version } = receipt.purpose;
  const service = view.services.find((one) => one.service === receipt.service);
  const answers = service !== undefined && html`${apart(service.provider)}${voice.marks.colon}${apart(service.title)} `;
  const rows: (readonly [string, Html])[] = [
    [words.receiptNumber, html`<code>${receipt.jti}</code>`],
    [words.receiptHash, html`<code>${hash}</code>`],
    [words.issuer, html`<code>${receipt.iss}</code>`],
    [words.issued, timeOf(voice, receipt.iat * 1000)],
    [words.validUntil, timeOf(voice, receipt.exp * 1000)],
    [words.mayAsk, html`${apart(view.client.name)} <code>${receipt.client}</code>`],
    [words.answers, html`${answers}<code>${receipt.service}</code>`],
    [words.why, html`${apart(view.purpose.title[language])} <code>${id} ${version}</code>`],
    [words.elements, html`<ul>${items}</ul>`],
    [words.howOften, html`${words.uses(receipt.uses, receipt.frequency ?? null)}`],
    [words.retention, html`${words.kept(receipt.retentionDays)}`],
    [words.pseudonym, html`<code>${receipt.sub}</code>${voice.marks.open}${words.pseudonymHint}${voice.marks.close}`],
    [words.signInLevel, html`${receipt.signIn.level}`],
    [words.statusList, html`<code>${receipt.status.uri}</code> ${receipt.status.idx}`],
  ];
  return html`<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>`;
}
