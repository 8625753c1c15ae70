// What both adapters share in their files, and how they listen: loopback in the clear, or anywhere with TLS 1.3 and a
// required client certificate. The department's own security server is the only caller.

import { readFile } from 'node:fs/promises';
import type { ServerOptions } from 'node:https';
import { dirname, resolve } from 'node:path';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { addressOf } from '#core/http/server-frame.ts';
import { AccordError } from '#schemas/problems.ts';
import { type Static, Type } from '#schemas/schema-builder.ts';
import type { YamlFile } from './yaml-file.ts';

const closed = { additionalProperties: false } as const;
const FileName = Type.String({ minLength: 1, maxLength: 1024 });

export const ServiceSchema = Type.Object(
  {
    code: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$' }),
    title: Type.String({ minLength: 1, maxLength: 200 }),
    version: Type.Optional(Type.String({ pattern: '^[0-9]{1,5}\\.[0-9]{1,5}\\.[0-9]{1,5}$' })),
    description: Type.Optional(Type.String({ maxLength: 4000 })),
  },
  closed,
);

export const ListenSchema = Type.Object(
  {
    host: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    port: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    tls: Type.Optional(Type.Object({ key: FileName, certificate: FileName, clientCa: FileName }, closed)),
  },
  closed,
);

export interface AdapterContext {
  /** The file's own path: other paths in it are relative to its folder. */
  file: string;
  /** Environment variables that the file may name. */
  environment: Readonly<Record<string, string | undefined>>;
}

/** An adapter that is ready to listen. */
export interface Adapter {
  server: FastifyInstance;
  listen: Static<typeof ListenSchema>;
  /** Things that are allowed and unwise, for `accord adapter check`. */
  warnings: readonly string[];
}

type WithListen = { listen?: Static<typeof ListenSchema> };

/** @throws ADAPTER_CONFIG_INVALID when a key or certificate cannot be read */
export async function tlsOptions(
  yaml: YamlFile<WithListen>,
  context: AdapterContext,
): Promise<ServerOptions | undefined> {
  const tls = yaml.value.listen?.tls;
  if (!tls) {
    return undefined;
  }
  const read = async (name: keyof typeof tls) => {
    try {
      return await readFile(besideFile(context, tls[name]));
    } catch {
      throw yaml.complain(['listen', 'tls', name], `cannot read ${tls[name]}`);
    }
  };
  const [key, cert, ca] = await Promise.all([read('key'), read('certificate'), read('clientCa')]);
  return { key, cert, ca, requestCert: true, rejectUnauthorized: true };
}

export function besideFile(context: AdapterContext, path: string): string {
  return resolve(dirname(context.file), path);
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

/**
 * Listens and returns the address, for instance http://127.0.0.1:41234. Host and port given here win over the file's.
 * @throws ADAPTER_CONFIG_INVALID for an address that others can reach, without TLS
 */
export async function listen(adapter: Adapter, host?: string, port?: number): Promise<string> {
  const onHost = host ?? adapter.listen.host ?? '127.0.0.1';
  if (!LOOPBACK.has(onHost) && !adapter.listen.tls) {
    throw new AccordError('ADAPTER_CONFIG_INVALID', `listening on ${onHost} needs listen.tls in the adapter file`);
  }
  await adapter.server.listen({ host: onHost, port: port ?? adapter.listen.port ?? 0 });
  return addressOf(adapter.server, adapter.listen.tls ? 'https' : 'http');
}

/** Refuses with 503 SERVER_BUSY before a body is read when `most` requests are under way. */
export function capInFlight(server: FastifyInstance, most: number): void {
  let inFlight = 0;
  const counted = new WeakSet<FastifyReply['raw']>();
  server.addHook('onRequest', async (_request, reply) => {
    if (inFlight >= most) {
      throw new AccordError('SERVER_BUSY');
    }
    inFlight += 1;
    counted.add(reply.raw);
    reply.raw.once('close', () => {
      if (counted.delete(reply.raw)) {
        inFlight -= 1;
      }
    });
  });
}
