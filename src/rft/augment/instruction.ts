/**
 * What a rewriter is asked, and the text form of what it answers: the paper's Figure 2, section 2.1.
 */

/** Wordings asked for besides the original: 100 questions become 600. */
export const VARIATIONS = 5;

export const SEPARATOR = '<sep>';

/** Figure 2 word for word, for rewriters that follow instructions; `{question paragraph}` is the stem. */
export const figure2Prompt = (stem: string): string => `Task:
Given a paragraph, generate five distinct expressions while preserving the original meaning.

Instructions:
- The paragraph is a scientific multiple-choice question (without options).
- Keep the meaning unchanged; do not add extra or unrelated information.
- Adjust sentence structure if necessary, but the meaning must remain the same.
- Provide five variations, each separated by "${SEPARATOR}".

Question:
${stem}
`;

/**
 * The short form for the bundled `rewriter`, of Figure 2's task line and its separator only. In the bundled tokenizer the whole
 * figure takes 242 tokens, and with the longest question and five variations of it more than the context of 512; this takes 70.
 * The rules that are left out are taught by the adapter's training instead: it adds nothing because no example does.
 */
export const formatRewritePrompt = (stem: string): string =>
  `Generate five distinct expressions while preserving the original meaning, each separated by ${SEPARATOR}.\nQuestion: ${stem}\nVariations:\n`;

export const formatVariations = (stems: readonly string[]): string => stems.join(` ${SEPARATOR} `);
