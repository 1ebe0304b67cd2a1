import type { AddressInfo, Server } from 'node:net';
import { ListenError } from '../base/listen-error.ts';

/** Resolves to the port really listened on (the system chooses one for port 0); rejects with `ListenError`. */
export function listen(server: Server, address: string, port: number, purpose: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(new ListenError(error.code ?? 'unknown', address, port, purpose, { cause: error }));
    };
    server.once('error', onError);
    server.listen({ host: address, port }, () => {
      server.off('error', onError);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
