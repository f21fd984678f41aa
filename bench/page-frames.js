/**
 * An expression for the page: presses Run, counts frames until the run has ended, and gives what it saw. `bench/page.mjs` evaluates it, and so can whatever else
 * drives a browser, on a machine without Node.
 */
(async () => {
  const deadline = performance.now() + 600_000;
  /** @param {() => Element | null | undefined} find */
  const appears = async (find) => {
    while (performance.now() < deadline) {
      const element = find();
      if (element) return element;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`The page did not come so far in 10 minutes; its run bar says: ${document.querySelector('.bar .title')?.textContent}`);
  };
  await appears(() => (document.querySelector('main') && !document.querySelector('main .loading') ? document.body : null));
  const run = await appears(() => [...document.querySelectorAll('.bar button')].find((button) => button.textContent?.trim() === 'Run'));
  const long = { count: 0, longest: 0 };
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      long.count += 1;
      long.longest = Math.max(long.longest, duration);
    }
  }).observe({ type: 'longtask' });
  const seen = { count: 0, longest: 0, begun: performance.now(), last: performance.now() };
  let counting = true;
  /** @param {number} now */
  const tick = (now) => {
    seen.count += 1;
    seen.longest = Math.max(seen.longest, now - seen.last);
    seen.last = now;
    if (counting) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  /** @type {HTMLElement} */ (run).click();
  await appears(() => [...document.querySelectorAll('.bar .title')].find((title) => title.textContent?.trim() === 'Finished'));
  counting = false;
  const seconds = (seen.last - seen.begun) / 1000;
  const round = (/** @type {number} */ value) => Math.round(value * 10) / 10;
  return {
    seconds: round(seconds),
    frames_per_second: round(seen.count / seconds),
    longest_frame_ms: round(seen.longest),
    tasks_above_50_ms_wall: long.count,
    longest_task_above_50_ms_wall: round(long.longest),
  };
})();
