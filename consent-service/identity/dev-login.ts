// The login page of the development identity provider: shows the residents, and takes the choice of one and of a level.
// Whoever reaches loopback controls the form.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { accountOf, DEV_ACR, type DevResident } from './dev-accounts.ts';
import { loginPage, messagePage } from './dev-pages.ts';

const MAX_FORM_BYTES = 4096;
const INTERACTION_S = 600;
type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>;

/** GET shows the list, POST finishes the interaction; never rejects. */
export async function answerLogin(
  provider: Provider,
  residents: readonly DevResident[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  try {
    const interaction = await provider.interactionDetails(request, response);
    const { params, uid } = interaction;
    if (request.method === 'POST') {
      const result = resultOf(await readForm(request), residents);
      if ('login' in result) await leaveOther(provider, interaction, result.login.accountId);
      await provider.interactionFinished(request, response, result);
      return;
    }
    const wanted = levelsWanted(String(params['acr_values'] ?? ''));
    const client = String(params['client_id'] ?? '');
    const level = Math.min(...wanted);
    send(response, 200, loginPage({ action: `/interaction/${uid}`, client, residents, levels: [2, 3, 4], level }));
  } catch (error) {
    const text = error instanceof Error ? error.message : 'failed';
    if (!response.headersSent) send(response, 400, messagePage('错误 · Error', text));
    else response.end();
  }
}

/** Somebody else was signed in: without this, oidc-provider shows a page of its own that needs a script to go on. */
async function leaveOther(provider: Provider, interaction: Interaction, accountId: string): Promise<void> {
  const { session } = interaction;
  if (session === undefined || session.accountId === accountId) return;
  await (await provider.Session.findByUid(session.uid))?.destroy();
  delete interaction.session;
  await interaction.save(INTERACTION_S);
}

function levelsWanted(acrValues: string): number[] {
  const asked = acrValues.split(' ');
  const found = Object.entries(DEV_ACR).filter(([, acr]) => asked.includes(acr));
  return found.length === 0 ? [2] : found.map(([level]) => Number(level));
}

function resultOf(form: URLSearchParams, residents: readonly DevResident[]) {
  if (form.has('cancel')) return { error: 'access_denied', error_description: 'the person cancelled' };
  const resident = residents.find(({ id }) => id === form.get('resident'));
  const acr = Object.entries(DEV_ACR).find(([level]) => level === form.get('level'))?.[1];
  if (resident === undefined || acr === undefined) throw new Error('no such resident or level');
  return { login: { accountId: accountOf(resident.id), acr, remember: true } };
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_FORM_BYTES) throw new Error('the form is too large');
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    // No form-action: browsers apply it to the redirects behind a form, and those lead to the client.
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
  });
  response.end(body);
}
