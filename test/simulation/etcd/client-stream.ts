import { EventEmitter } from 'node:events';
import { status } from '@grpc/grpc-js';
import type { IWatchRequest } from 'etcd3/lib/rpc.js';
import type { RpcFailure } from './failures.ts';

/** The client's end of a stream, with the part of grpc-js's interface that is used. */
export class ClientStream extends EventEmitter {
  over = false;
  /** What was written before there was a connection. */
  readonly #early: IWatchRequest[] = [];
  #write: ((request: IWatchRequest) => void) | undefined;
  #onCancel: () => void = () => {};

  constructor() {
    super();
    this.on('error', () => {});
  }

  attach(write: (request: IWatchRequest) => void, onCancel: () => void): void {
    this.#write = write;
    this.#onCancel = onCancel;
    if (this.over) onCancel();
    else for (const request of this.#early.splice(0)) write(request);
  }

  write(request: IWatchRequest): boolean {
    if (this.over) return true;
    if (this.#write === undefined) this.#early.push(request);
    else this.#write(request);
    return true;
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.#onCancel();
    queueMicrotask(() => {
      const details = 'Cancelled on client';
      this.emit('error', Object.assign(new Error(details), { code: status.CANCELLED, details }));
      this.emit('status', { code: status.CANCELLED });
    });
  }

  received(response: unknown): void {
    if (!this.over) this.emit('data', response);
  }

  failed({ code, details }: RpcFailure): void {
    if (this.over) return;
    this.over = true;
    this.emit('error', Object.assign(new Error(details), { code, details }));
    this.emit('status', { code });
    this.emit('end');
  }
}
