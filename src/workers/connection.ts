/** A worker as its client holds it: the remote API, and the end of everything that waits for it. */
import { type Remote, releaseProxy, transfer, wrap } from 'comlink';
import { LabError } from '../base/errors.ts';

export interface Connection<Api> {
  readonly worker: Worker;
  /** Lives as long as the worker: a proxy that is collected leaves its calls unanswered. */
  readonly api: Remote<Api>;
  /** Rejects when the worker ends, whatever it was doing. */
  readonly ended: Promise<never>;
  end(reason: LabError): void;
}

/**
 * @param failure what the user reads when the worker dies by itself: who it is, and what to do.
 * @param onEnd called once the worker is being ended, whatever for.
 */
export function openConnection<Api>(worker: Worker, failure: { who: string; remedy: string }, onEnd: () => void): Connection<Api> {
  const api = wrap<Api>(worker);
  let reject: (reason: LabError) => void;
  const ended = new Promise<never>((_, fail) => (reject = fail));
  ended.catch(() => undefined); // It is raced against; nobody has to be waiting when the worker ends.
  const connection: Connection<Api> = {
    worker,
    api,
    ended,
    end: (reason) => {
      onEnd();
      reject(reason);
      api[releaseProxy]();
      worker.terminate();
    },
  };
  worker.onerror = ({ message }) =>
    connection.end(
      new LabError('worker-failed', `${failure.who} failed: ${message || 'its program could not be loaded'}.`, failure.remedy),
    );
  return connection;
}

/** A port on which the worker, handed the other end by `connect`, reports while its calls go on. */
export function openPort(connect: (port: MessagePort) => unknown, receive: (event: MessageEvent) => void): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = receive;
  void connect(transfer(port2, [port2]));
  return port1;
}
