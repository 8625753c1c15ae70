// One entry for both kinds of adapter file: the value under `adapter:` decides who reads the rest.

import type { Clock } from '#core/clock.ts';
import { AccordError } from '#schemas/problems.ts';
import type { Adapter, AdapterContext } from './listen.ts';
import { describeRest, openRestAdapter } from './rest.ts';
import { describeSql, openSqlAdapter } from './sql.ts';
import { adapterKind } from './yaml-file.ts';

/** @throws ADAPTER_CONFIG_INVALID, ADAPTER_SCHEMA_MISMATCH, DATABASE_UNAVAILABLE, DATABASE_TIMEOUT */
export async function openAdapter(text: string, context: AdapterContext, clock: Clock): Promise<Adapter> {
  return kindOf(text, context) === 'sql' ? openSqlAdapter(text, context, clock) : openRestAdapter(text, context);
}

/** The OpenAPI document, without opening a database or a backend. @throws ADAPTER_CONFIG_INVALID */
export async function describeAdapter(text: string, context: AdapterContext): Promise<unknown> {
  return kindOf(text, context) === 'sql' ? describeSql(text, context.file) : describeRest(text, context);
}

function kindOf(text: string, context: AdapterContext): 'sql' | 'rest' {
  const kind = adapterKind(text);
  if (kind !== 'sql' && kind !== 'rest') {
    throw new AccordError('ADAPTER_CONFIG_INVALID', `${context.file}:1: write "adapter: sql" or "adapter: rest"`);
  }
  return kind;
}
