/**
 * Who rewrites questions (paper, section 2.1: GPT-4o-mini): the interface, and the two rewriters that need no network. The third asks an
 * endpoint: endpoint.ts. Whatever one of them writes is judged in variations.ts.
 */
import { InputError } from '../../base/errors.ts';
import type { Seed } from '../../base/random.ts';
import type { Question } from '../dataset.ts';
import type { AdapterName, Policy, SamplingConfig } from '../policy.ts';
import { encodePrompt, responseText } from '../prompts.ts';
import { taskOfStem } from '../tasks/registry.ts';
import { VARIATIONS, formatRewritePrompt, formatVariations } from './instruction.ts';

export interface Rewriting {
  /** Five variations between `<sep>`, if all went well; as the rewriter wrote it. */
  readonly text: string;
  /** False when it was cut off. */
  readonly finished: boolean;
}

export interface RewriteOptions {
  /** Of this call: the same stems, seed and rewriter give the same texts, where the rewriter is on this machine. */
  readonly seed: Seed;
  readonly signal: AbortSignal | undefined;
  /** Called now and then with the number of stems that are finished. */
  readonly onProgress: (done: number) => void;
}

export interface Rewriter {
  /** As events name it. */
  readonly name: string;
  /**
   * One text for each stem, in order.
   * @throws StoppedError once the signal is aborted; LabError for whatever keeps it from rewriting at all.
   */
  rewrite(stems: readonly string[], options: RewriteOptions): Promise<Rewriting[]>;
}

/**
 * The task's own wordings, in random order: an oracle, which never errs and needs no model. For generated questions only; what augmentation gains
 * with it is an upper bound for rewriters that have to read.
 */
export class TemplateRewriter implements Rewriter {
  readonly name = 'templates of the task';

  /** @throws InputError for a question that no task of the lab made. */
  constructor(questions: readonly Question[]) {
    const other = questions.findIndex(({ question }) => !taskOfStem(question));
    if (other < 0) return;
    throw new InputError(
      `Question ${other + 1} was not made by a task of the lab, so there are no templates to rewrite it by: "${questions[other]!.question}".`,
      'Set augment.rewriter to adapter or endpoint, or turn augmentation off.',
    );
  }

  rewrite(stems: readonly string[], { seed, onProgress }: RewriteOptions): Promise<Rewriting[]> {
    const texts = stems.map((stem, i) => {
      const task = taskOfStem(stem)!;
      const others = task.wordings(task.parseStem(stem)!).filter((wording) => wording !== stem);
      return { text: formatVariations(seed.derive(i).random().shuffle(others).slice(0, VARIATIONS)), finished: true };
    });
    onProgress(stems.length);
    return Promise.resolve(texts);
  }
}

/** The policy's base with an adapter that learned to rewrite (corpus.ts, `rewritingDocument`), in the short form of the instruction. */
export class PolicyRewriter implements Rewriter {
  readonly name: string;

  /** The policy stays the caller's. */
  constructor(
    private readonly policy: Pick<Policy, 'info' | 'tokenizer' | 'generate'>,
    private readonly adapter: AdapterName,
    private readonly sampling: Pick<SamplingConfig, 'temperature' | 'max_new_tokens'>,
  ) {
    this.name = `${policy.info.model} with adapter ${adapter}`;
  }

  /** A stem that leaves no room for a response is given back unfinished and without text. */
  async rewrite(stems: readonly string[], { seed, signal, onProgress }: RewriteOptions): Promise<Rewriting[]> {
    const { tokenizer, info } = this.policy;
    const prompts = stems.map((stem) => encodePrompt(tokenizer, formatRewritePrompt(stem)));
    const fitting = [...prompts.keys()].filter((i) => prompts[i]!.length < info.context);
    const generations = await this.policy.generate(
      {
        prompts: fitting.map((i) => prompts[i]!),
        adapter: this.adapter,
        sampling: { ...this.sampling, top_k: 0, top_p: 1 },
        seed,
        onProgress,
      },
      signal,
    );
    const out: Rewriting[] = stems.map(() => ({ text: '', finished: false }));
    for (const [i, generation] of generations.entries()) {
      out[fitting[i]!] = { text: responseText(this.policy, generation), finished: generation.finished };
    }
    return out;
  }
}
