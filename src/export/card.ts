/** README.md of a merged model: what it is and where it comes from, as a Hugging Face model card. */
import { type ExportedRun, doneOf, provenance, questionsOf } from './provenance.ts';
import { intervalText } from './text.ts';

export async function modelCard(run: ExportedRun): Promise<string> {
  const { config } = run.started;
  const done = doneOf(run.events);
  const rows = (await provenance(run)).map(([label, value]) => `| ${label} | ${value} |`);
  return `---
library_name: transformers
tags: [openrft-lab, ${config.ppo.algorithm}]
---

# ${config.model}, fine-tuned on ${questionsOf(run.started)}

The base model ${config.model} with the adapter of a run of OpenRFT Lab merged into its weights.

${
  done
    ? `Accuracy on ${done.accuracy.n} test questions: before ${intervalText(done.accuracy.before)}, after ${intervalText(done.accuracy.after)}, difference ${intervalText(done.accuracy.difference)}, with 95 % intervals.`
    : 'Its run was not finished, so that its accuracy is not known.'
}

| | |
|---|---|
${rows.join('\n')}

The licence is that of the base model.
`;
}
