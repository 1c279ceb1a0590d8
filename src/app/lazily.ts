/**
 * @returns what makes it when it is first asked for, and then has it. Where that failed, the next who asks has another try: there may have
 * been no descriptor left for a moment.
 */
export function lazily<Made>(make: () => Promise<Made>): () => Promise<Made> {
  let made: Promise<Made> | undefined;
  return () => {
    made ??= make().catch((error) => {
      made = undefined;
      throw error;
    });
    return made;
  };
}
