/** The state of the frame: which place is on show, and what is open beside it. */
import type { Snippet } from 'svelte';
import { bringsNotebook } from '../../notebook/remote.ts';
import { frameOf } from '../address.ts';
import { Preferences } from './preferences.svelte.ts';
import { ROUTES, type RouteId, hrefOf, readHash } from './routes.ts';

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
  /** Whether the palette of places and actions is open. */
  finding = $state(false);
  readonly preferences = new Preferences();

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

  private readonly read = $derived(readHash(this.address));
  /** Undefined where the address names no place. */
  readonly route = $derived(this.read.route);
  /** What the address names in the place, a word of the glossary. */
  readonly named = $derived(this.read.named);

  /** A link to a notebook opens a preview, which takes the page's place and leaves it as it is. */
  follow(hash: string): void {
    if (!bringsNotebook(hash)) this.address = hash;
  }

  go(id: RouteId): void {
    location.hash = hrefOf(id);
  }

  /** To the place before (-1) or after (1) in the rail. */
  turn(by: -1 | 1): void {
    const at = ROUTES.findIndex(({ id }) => id === this.route?.id);
    const next = at < 0 ? ROUTES[0] : ROUTES[at + by];
    if (next) this.go(next.id);
  }
}
