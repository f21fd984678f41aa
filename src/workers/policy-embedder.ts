/** The page's side of the embedder that needs no download: the model of the training worker, behind the Embedder interface. */
import type { Embedder } from '../rft/embedder.ts';
import type { TrainerClient } from './client.ts';
import type { ModelRequest } from './protocol.ts';

/** Loads the model into the worker, unless it is there; another one that is loaded later makes way again with the next text. */
export async function openPolicyEmbedder(client: TrainerClient, model: ModelRequest, signal?: AbortSignal): Promise<Embedder> {
  const { model: name, hidden_size } = await client.loadModel(model, signal);
  return {
    info: { name, bytes: 0 },
    dimensions: hidden_size,
    embed: (texts, signal) => client.embed(model, texts, signal),
    dispose: async () => undefined, // The worker and its model are the run's.
  };
}
