/** Why the store does not do what it is asked for, in words for operators. */
export class StoreError extends Error {
  /**
   * @param {string} message
   * @param {'locked' | 'refused' | 'failed'} kind `locked`: somebody else has it, which ends by itself; `refused`: it would not do
   *   this, and works; `failed`: it is to be opened anew
   * @param {unknown} [cause]
   */
  constructor(message, kind = 'failed', cause = undefined) {
    super(message, { cause });
    this.name = 'StoreError';
    this.kind = kind;
  }
}
