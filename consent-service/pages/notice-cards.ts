// What departments told of emergencies, on the start page until the person has put each away. The department that answered
// says what stands here; the reason is as two officials signed it.
import type { UnreadNotice } from '#consent-service/emergency-notices.ts';
import type { KnownWords } from '#consent-service/known-words.ts';
import { apart, type Html, html } from '#core/http/html.ts';
import { csrfField } from '#core/http/pages/frame.ts';
import { NOTICE_WORDS } from './notice-words.ts';
import { named, timeOf } from './parts.ts';
import type { Voice } from './words.ts';

/** @param count how many there are, also those that are not among the newest */
export function noticeCards(
  voice: Voice,
  known: KnownWords,
  notices: readonly UnreadNotice[],
  count: number,
  csrf: string,
): Html {
  const told = NOTICE_WORDS[voice.language];
  const more = count - notices.length;
  return html`<section class="box error"><h2>${told.heading(count)}</h2>
<p>${told.text}</p>
${notices.map((one) => cardOf(voice, known, one, csrf))}${more > 0 && html`<p>${told.more(more)}</p>`}</section>
`;
}

function cardOf(voice: Voice, known: KnownWords, { id, notice }: UnreadNotice, csrf: string): Html {
  const { words, language, marks } = voice;
  const told = NOTICE_WORDS[language];
  const { client, service, exchange, emergency, atMs } = notice;
  const member = named(known.member(client));
  const rows: (readonly [string, Html])[] = [
    [told.when, timeOf(voice, atMs)],
    [told.who, html`${apart(member)} <code>${client}</code>`],
    [told.why, apart(emergency.reason)],
    [
      told.from,
      html`${apart(known.provider(service))}${marks.colon}${apart(known.service(service))} <code>${service}</code>`,
    ],
    [told.emergency, html`<code>${emergency.id}</code>`],
    [told.request, html`<code>${exchange}</code>`],
  ];
  return html`<section class="card"><h3>${told.title(member)}</h3>
<dl>
${rows.map(
  ([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>
`,
)}</dl>
<h4>${told.whatNow}</h4>
<ul><li>${told.look}<a href="/accesses">${words.accesses}</a></li>
<li>${told.ask(member)}</li></ul>
<form method="post" action="/">${csrfField(csrf)}<input type="hidden" name="notice" value="${id}"><button>${told.done}<span class="visually-hidden"> ${told.doneOf(member, voice.time(atMs))}</span></button></form></section>
`;
}
