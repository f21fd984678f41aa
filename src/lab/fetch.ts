import { InputError, LabError } from '../base/errors.ts';

/** A text file of the lab's own; `base` is the folder that the page lies in. */
export const fetchText = async (path: string, base: string): Promise<string> => (await fetchFile(path, base)).text();

/** The same, of bytes. */
export const fetchBytes = async (path: string, base: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await (await fetchFile(path, base)).arrayBuffer());

async function fetchFile(path: string, base: string): Promise<Response> {
  const url = new URL(path, base);
  let response: Response;
  try {
    response = await fetch(url);
  } catch (cause) {
    throw new LabError('network', `${url.pathname} could not be fetched: ${String(cause)}.`, 'Check the connection and try again.', {
      cause,
    });
  }
  if (!response.ok) throw new InputError(`${url.pathname} answers ${response.status}.`, 'Choose a file that the lab brings along.');
  return response;
}
