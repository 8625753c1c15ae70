// The page an auditor begins with: the search form, and what was found.
import { apart, type Html, html } from '#core/http/html.ts';
import type { Body } from '#core/http/pages/frame.ts';
import { outcomeWords } from './check-words.ts';
import { type Criteria, type ReadCriteria, searchQuery } from './criteria.ts';
import { type Language, WORDS } from './language.ts';
import type { SearchResult } from './search-log.ts';
import { long, time, timeText } from './times.ts';

type Field = Exclude<keyof Criteria, 'about'>;

const FIELDS: readonly Field[] = ['id', 'department', 'service', 'purpose', 'code', 'from', 'to'];

/** @param result null when nothing was searched */
export function searchPage(language: Language, read: ReadCriteria, result: SearchResult | null): Body {
  const words = WORDS[language];
  const { criteria, faults } = read;
  const fields = FIELDS.map((name) => fieldOf(language, name, read));
  const options = (['exchanges', 'log'] as const).map(
    (one) =>
      html`<option value="${one}"${criteria.about === one && html` selected`}>${one === 'log' ? words.aboutLog : words.aboutExchanges}</option>`,
  );
  const content = html`${faults.length > 0 && faultsBox(language, read)}<p>${words.searchIntro}</p>
<form method="get" action="/auditor" role="search">
<div class="fields">
${fields}<div class="field whole"><label for="about">${words.fields.about}</label>
<span class="hint" id="about-hint">${words.hints.about}</span>
<select id="about" name="about" aria-describedby="about-hint">${options}</select></div>
</div>
<p><button name="search" value="1">${words.doSearch}</button></p>
</form>
${result && resultsOf(language, criteria, result)}`;
  return { title: words.searchTitle, content, isFaulty: faults.length > 0 };
}

function fieldOf(language: Language, name: Field, { criteria, faults }: ReadCriteria): Html {
  const words = WORDS[language];
  const [hint, isWrong] = [words.hints[name], faults.includes(name)];
  const described = [...(hint === '' ? [] : [`${name}-hint`]), ...(isWrong ? [`${name}-fault`] : [])].join(' ');
  return html`<div class="field${name === 'id' && ' whole'}${isWrong && ' wrong'}"><label for="${name}">${words.fields[name]}</label>
${hint !== '' && html`<span class="hint" id="${name}-hint">${hint}</span>`}${isWrong && html`<span class="error-text" id="${name}-fault">${words.faults[name]}</span>`}
<input id="${name}" name="${name}" value="${criteria[name]}" autocomplete="off" spellcheck="false"${described !== '' && html` aria-describedby="${described}"`}${isWrong && html` aria-invalid="true"`}></div>
`;
}

function faultsBox(language: Language, { faults }: ReadCriteria): Html {
  const words = WORDS[language];
  const items = [...new Set(faults)].map(
    (name) => html`<li><a href="#${name === 'period' ? 'from' : name}">${words.faults[name]}</a></li>`,
  );
  return html`<div class="box error" role="alert"><h2>${words.faultsTitle}</h2><ul>${items}</ul></div>
`;
}

function resultsOf(language: Language, criteria: Criteria, { found, next, reachedMs, lookedAt }: SearchResult): Html {
  const words = WORDS[language];
  const rows = found.map((entry) => {
    const { id, seq, t, kind, code, peer, client, service, purpose } = entry;
    const query = new URLSearchParams({ id, ...(peer === null ? {} : { peer }) }).toString();
    const place = html`<span class="hint">${words.entry} ${seq}</span>`;
    const said = html`${words.kinds[kind]}${code !== null && html` · ${outcome(code, language)}`}`;
    // Some of the log's own entries have an id that says no more than their kind.
    const about = id !== kind && html`<p>${long(apart(id))}</p>`;
    const first =
      criteria.about === 'exchanges'
        ? html`<p class="top"><a class="id" href="/auditor/exchange?${query}">${id}</a> <span>${time(t)}</span></p>
<p>${said} ${place}</p>`
        : html`<p class="top"><strong>${said}</strong> <span>${time(t)}</span> ${place}</p>
${about}`;
    return html`<li>
${first}
${client !== null && html`<p>${apart(client)} → ${apart(service ?? peer ?? '')}${purpose !== null && html` <span class="hint">${apart(purpose)}</span>`}</p>`}</li>
`;
  });
  const more =
    next !== null &&
    html`<p><a class="button" href="/auditor?${searchQuery(criteria, next)}#results">${reachedMs === null ? words.older : words.goOn}</a></p>`;
  const nothing = next === null ? words.nothingFound : words.nothingFoundYet;
  return html`<h2 id="results">${words.results}</h2>
${found.length === 0 ? html`<p role="status">${nothing}</p>` : html`<ol class="rows">${rows}</ol>`}
${reachedMs !== null && html`<p role="status">${words.stopped(timeText(reachedMs))}</p>`}
${more}<p class="hint">${words.lookedAt(lookedAt)}</p>
`;
}

/** A code with its plain words. */
export function outcome(code: string, language: Language): Html {
  const said = outcomeWords(code, language);
  if (said === null) return html`<code>${code}</code>`;
  return html`<span${said.language !== language && html` lang="${said.language}"`}>${said.text}</span> <code>${code}</code>`;
}
