/** A run as one HTML page that opens from the disk, without a network and without a script. */
import { configDifferences } from '../rft/config.ts';
import type { DoneEvent } from '../rft/events.ts';
import { changesOf } from '../rft/live.ts';
import { canonicalJson } from '../notebook/json.ts';
import { chartSvg, chartText, chartsOf } from './charts.ts';
import { type ExportedRun, doneOf, provenance, questionsOf, titleOf } from './provenance.ts';
import { type PromptedSample, promptedSamples } from './rows.ts';
import { escaped, intervalText, share } from './text.ts';
import { reportStyle } from './report-style.ts';

export async function reportHtml(run: ExportedRun): Promise<string> {
  const { started, events, from } = run;
  const title = titleOf(run);
  const done = doneOf(events);
  const warnings = events.filter((event) => event.type === 'warning');
  const charts = chartsOf(events);
  const changes = changesOf(events);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escaped(title)}</title>
<style>
${reportStyle}</style>
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<p class="soft">Reinforcement fine-tuning of ${escaped(started.config.model)} on ${escaped(questionsOf(started))}, seed ${started.seed}, by OpenRFT Lab ${escaped(started.app_version)}.</p>
${from === undefined ? '' : `<p class="warning">This run was not done where the report was made: its record came from ${escaped(from)}.</p>`}
<section><h2>Did it get better?</h2>
${done ? accuracy(done) : '<p class="warning">The run was not finished, so there is no accuracy after training.</p>'}
</section>
${charts.length === 0 ? '' : `<section><h2>Training</h2><div class="charts">${charts.map((chart) => `<figure>${chartSvg(chart)}<figcaption class="soft">${escaped(chartText(chart))}</figcaption></figure>`).join('\n')}</div></section>`}
${warnings.length === 0 ? '' : `<section><h2>Warnings</h2><ul>${warnings.map(({ message, remedy }) => `<li>${escaped(message)} ${escaped(remedy)}</li>`).join('')}</ul></section>`}
${responses(run)}
${changes.length === 0 ? '' : `<section><h2>Changed while it ran</h2><ul>${changes.map(({ update, path, value }) => `<li>${escaped(`${path} is ${String(value)} from update ${update} on.`)}</li>`).join('')}</ul></section>`}
<section><h2>Settings</h2>
<p>What differs from the defaults:</p>
<pre tabindex="0">${escaped(canonicalJson(configDifferences(started.config), 1))}</pre>
<details><summary>All of them</summary>
<pre tabindex="0">${escaped(canonicalJson(started.config, 1))}</pre></details>
</section>
<section><h2>Where this comes from</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Where this comes from, table"><table>${(await provenance(run)).map(([label, value]) => `<tr><th scope="row">${escaped(label)}</th><td>${escaped(value)}</td></tr>`).join('\n')}</table></div>
<p class="soft">The method is OpenRFT (arXiv 2412.16849) on models thousands of times smaller; the figures are not comparable with the paper’s.</p>
</section>
</main>
</body>
</html>
`;
}

function accuracy({ accuracy: whole, groups, baselines, greedy }: DoneEvent): string {
  const row = (name: string, { before, after, difference, n }: Omit<DoneEvent['accuracy'], 'samples_per_question'>) =>
    `<tr><th scope="row">${escaped(name)}</th><td>${n}</td><td>${intervalText(before)}</td><td>${intervalText(after)}</td><td>${intervalText(difference)}</td></tr>`;
  const rows = [
    row('All test questions', whole),
    ...(greedy ? [row('Greedy decoding', greedy)] : []),
    ...Object.entries(groups).map(([name, group]) => row(`Phrasing ${name}`, group)),
  ];
  return `<div class="scroll" tabindex="0" role="region" aria-label="Accuracy, table"><table>
<thead><tr><th scope="col">Accuracy</th><th scope="col">Questions</th><th scope="col">Before</th><th scope="col">After</th><th scope="col">Difference</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table></div>
<p class="soft">Shares of right answers with 95 % intervals: Wilson’s, and for the difference a bootstrap over the questions, paired.
A letter drawn at random is right ${share(baselines.chance)} of the time; of the rules that don’t read the question, “${escaped(baselines.best.name)}” does best: ${intervalText(baselines.best.accuracy)}.</p>`;
}

/** The first and the last update, which show what training changed. */
function responses(run: ExportedRun): string {
  const rollouts = promptedSamples(run).filter(({ stage }) => stage === 'ppo');
  if (rollouts.length === 0) return '';
  const updates = [...new Set([rollouts[0]!.update, rollouts.at(-1)!.update])];
  const shown = rollouts.filter(({ update }) => updates.includes(update));
  const row = ({ update, question, prompt, text, outcome, reward }: PromptedSample) =>
    `<tr><td>${update!}</td><td>${question}</td><td class="text">${escaped(prompt)}</td><td class="text">${escaped(text)}</td><td>${escaped(outcome)}</td><td>${share(reward)}</td></tr>`;
  return `<section><h2>Responses</h2>
<p class="soft">The ${shown.length} recorded rollouts of ${updates.map((update) => `update ${update!}`).join(' and ')}, of ${rollouts.length} in the record.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Responses, table"><table>
<thead><tr><th scope="col">Update</th><th scope="col">Question</th><th scope="col">Prompt</th><th scope="col">Response</th><th scope="col">Outcome</th><th scope="col">Reward</th></tr></thead>
<tbody>${shown.map(row).join('\n')}</tbody></table></div></section>`;
}
