/** The look of a report, light, dark and in print; in TypeScript, so that it comes along wherever the code runs. */
export const reportStyle = `:root {
  color-scheme: light dark;
  --ink: #1c2430;
  --soft: #55606e;
  --line: #d5dbe3;
  --page: #ffffff;
  --well: #f4f6f9;
  --warn: #fff4d6;
}

@media (prefers-color-scheme: dark) {
  :root {
    --ink: #e6eaf0;
    --soft: #a6b0bd;
    --line: #3a4453;
    --page: #14181f;
    --well: #1d232c;
    --warn: #3b3113;
  }
}

body {
  max-width: 62rem;
  margin: 0 auto;
  padding: 1.5rem 1rem 3rem;
  color: var(--ink);
  background: var(--page);
  font:
    1rem/1.5 system-ui,
    sans-serif;
}

h2 {
  margin-top: 2.25rem;
}

.soft {
  color: var(--soft);
}

.warning {
  padding: 0.6rem 0.9rem;
  border: 1px solid var(--line);
  background: var(--warn);
}

.charts {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 1rem;
}

figure {
  margin: 0;
  break-inside: avoid;
}

svg {
  width: 100%;
  height: auto;
}

.scroll {
  overflow-x: auto;
}

table {
  width: 100%;
  min-width: 38rem;
  border-collapse: collapse;
}

th,
td {
  padding: 0.35rem 0.6rem 0.35rem 0;
  border-top: 1px solid var(--line);
  text-align: left;
  vertical-align: top;
}

td {
  overflow-wrap: break-word;
}

td.text {
  min-width: 14rem;
  white-space: pre-wrap;
}

pre {
  padding: 0.75rem;
  overflow-x: auto;
  background: var(--well);
}

@media print {
  :root {
    --ink: #000000;
    --soft: #333333;
    --line: #999999;
    --page: #ffffff;
    --well: #ffffff;
    --warn: #ffffff;
  }

  body {
    max-width: none;
    padding: 0;
    font-size: 10pt;
  }

  pre {
    white-space: pre-wrap;
    overflow-wrap: anywhere;
  }

  .scroll {
    overflow: visible;
  }

  table {
    min-width: 0;
  }

  td {
    overflow-wrap: anywhere;
  }

  tr {
    break-inside: avoid;
  }
}
`;
