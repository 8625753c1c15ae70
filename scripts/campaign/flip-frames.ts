// A wire between two security servers that speaks frames at both ends and changes one byte of one frame with messages:
// somebody inside TLS, with the certificates of both. For campaign `flip`.

import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { dialFrames } from '#core/http/frames/dial.ts';
import { FRAMES_PROTOCOL, FrameReader, frameHeader } from '#core/http/frames/wire.ts';
import { mtlsServerOptions, tlsClientOptions } from '#core/http/mtls.ts';
import { flipped } from './flip-messages.ts';
import type { Pair } from './pair.ts';

export interface FramesWire {
  url: string;
  /** Which frame with messages is changed next, once; null when it was. */
  change: { of: 'request' | 'answer'; offset: number; bit: number } | null;
  /** Length of the last frame with messages in each direction. */
  lengths: { request: number; answer: number };
  /** Ends the connections there are. */
  cut(): void;
  close(): void;
}

export async function openFramesWire(pair: Pair): Promise<FramesWire> {
  const { consumer, provider } = pair.identities;
  const target = pair.provider.urls.peer;
  const tls = tlsClientOptions(consumer.keys.authentication, () => true);
  const sockets = new Set<TLSSocket>();
  const options = { ...mtlsServerOptions(provider.keys.authentication), ALPNProtocols: [FRAMES_PROTOCOL] };
  const server = createServer(options, (near) => {
    sockets.add(near);
    near.on('error', () => {});
    near.pause();
    dialFrames(target, tls, 5_000).then(
      (dialled) => {
        if (dialled === null) return void near.destroy();
        const far = dialled.socket;
        far.on('error', () => {});
        passOn(near, far, 'request');
        passOn(far, near, 'answer');
        return undefined;
      },
      () => near.destroy(),
    );
  });
  const wire: FramesWire = {
    ...{ url: '', change: null, lengths: { request: 0, answer: 0 } },
    cut() {
      for (const socket of sockets) socket.destroy();
      sockets.clear();
    },
    close() {
      wire.cut();
      server.close();
    },
  };

  function passOn(from: NodeJS.ReadWriteStream & { destroy(): void }, to: typeof from, of: 'request' | 'answer'): void {
    const reader = new FrameReader();
    from.on('data', (chunk: Buffer) => {
      for (const { name, payload } of reader.take(chunk)) {
        const frame = Buffer.concat([frameHeader(name, payload.length), payload]);
        const change = name === 'messages' && wire.change?.of === of ? wire.change : null;
        if (name === 'messages') wire.lengths[of] = frame.length;
        if (change !== null) wire.change = null;
        to.write(change === null ? frame : flipped(frame, change.offset, change.bit));
      }
    });
    from.on('close', () => to.destroy());
    from.resume();
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  wire.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return wire;
}
