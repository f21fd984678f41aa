/** The state of the frame: which place is on show, and what is open beside it. */
import type { Snippet } from 'svelte';
import { bringsNotebook } from '../../notebook/remote.ts';
import { frameOf } from '../address.ts';
import { type RouteId, hrefOf, routeAt } from './routes.ts';

/** What a stage puts into the region beside it. */
export interface Inspected {
  readonly title: string;
  readonly body: Snippet;
  readonly close: () => void;
}

export class Shell {
  private address = $state('');
  inspected = $state.raw<Inspected | undefined>();
  exporting = $state(false);
  shortcuts = $state(true);

  /** In a frame of another page (`?embed=1`): one place, or the notebook to be read, and a short run bar. */
  readonly embedded: boolean;
  /** The same address for a page of its own. */
  readonly whole: string;

  constructor(address: string) {
    const { embedded, whole, hash } = frameOf(address);
    this.embedded = embedded;
    this.whole = whole;
    this.follow(hash);
  }

  /** Undefined where the address names no place. */
  readonly route = $derived(routeAt(this.address));

  /** A link to a notebook opens a preview, which takes the page's place and leaves it as it is. */
  follow(hash: string): void {
    if (!bringsNotebook(hash)) this.address = hash;
  }

  go(id: RouteId): void {
    location.hash = hrefOf(id);
  }
}
