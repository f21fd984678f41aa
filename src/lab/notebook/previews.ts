/** What is shown of a stranger's notebook before it is used: loaded together, when there is one. */
export { default as PreviewFrame } from './PreviewFrame.svelte';
export { default as RemoteFrame } from './RemoteFrame.svelte';
