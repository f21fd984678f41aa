/** Which model a run is of: the notebook's, another bundled one, or one of the reader's own. */
import { type ErrorRecord, errorRecord } from '../base/errors.ts';
import { type BundledModel, fetchManifest } from '../workers/manifest.ts';
import type { ModelDescription } from '../workers/protocol.ts';
import type { Picked } from './picked.ts';

export interface OwnModel extends Picked {
  readonly description: ModelDescription;
}

export class Models {
  /** Undefined until the list has arrived. */
  bundled = $state.raw<readonly BundledModel[] | undefined>();
  /** Name of a model; undefined takes the notebook's. */
  chosen = $state<string | undefined>();
  /** The last one that was found to be usable. */
  own = $state.raw<OwnModel | undefined>();
  reading = $state(false);
  problem = $state.raw<ErrorRecord | undefined>();
  private picks = 0;

  constructor(
    private readonly base: string,
    /** Checks the files and says what they need, for the run as it is set. */
    private readonly describe: (picked: Picked) => Promise<ModelDescription>,
  ) {}

  async loadList(): Promise<void> {
    if (this.bundled) return;
    try {
      this.bundled = await fetchManifest(this.base);
    } catch (error) {
      this.problem = errorRecord(error);
    }
  }

  /** Looks at the reader's files; a model that can be used is chosen, and one that can't leaves the choice as it was. */
  async pick(picking: () => Picked | Promise<Picked>): Promise<void> {
    if (await this.read(picking)) this.chosen = this.own!.name;
  }

  /** The same files need another amount of memory for other settings. */
  async readAgain(): Promise<void> {
    const { own } = this;
    if (own) await this.read(() => own);
  }

  /** False when the files can't be used, or others were picked meanwhile. */
  private async read(picking: () => Picked | Promise<Picked>): Promise<boolean> {
    const pick = ++this.picks;
    this.reading = true;
    this.problem = undefined;
    try {
      const { name, files } = await picking();
      const description = await this.describe({ name, files });
      if (pick !== this.picks) return false;
      this.own = { name, files, description };
      return true;
    } catch (error) {
      if (pick === this.picks) this.problem = errorRecord(error);
      return false;
    } finally {
      if (pick === this.picks) this.reading = false;
    }
  }
}
