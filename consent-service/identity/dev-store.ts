// The memory of the development identity provider: what oidc-provider keeps (sessions, codes, grants), in maps of one
// provider, so that two of them in one process know nothing of each other. Bounded; gone when the process ends.
import type { Adapter, AdapterPayload } from 'oidc-provider';

const MAX_ROWS = 10_000;

/** One store for all models of one provider. */
export function openDevStore(): (model: string) => Adapter {
  const rows = new Map<string, AdapterPayload>();
  const find = (key: string, match: (row: AdapterPayload) => boolean) => {
    for (const [id, row] of rows) if (id.startsWith(`${key}:`) && match(row)) return row;
    return undefined;
  };
  return (model) => ({
    async upsert(id, payload) {
      rows.delete(`${model}:${id}`);
      rows.set(`${model}:${id}`, payload);
      const oldest = rows.keys().next().value;
      if (rows.size > MAX_ROWS && oldest !== undefined) rows.delete(oldest);
    },
    find: async (id) => rows.get(`${model}:${id}`),
    findByUid: async (uid) => find(model, (row) => row.uid === uid),
    findByUserCode: async (code) => find(model, (row) => row.userCode === code),
    async consume(id) {
      const row = rows.get(`${model}:${id}`);
      if (row) row.consumed = true;
    },
    async destroy(id) {
      rows.delete(`${model}:${id}`);
    },
    async revokeByGrantId(grantId) {
      for (const [id, row] of rows) if (row.grantId === grantId) rows.delete(id);
    },
  });
}
