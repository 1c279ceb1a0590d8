/** Until it serves, a worker that loses its supervisor has nothing to drain, and would keep the socket from everybody else. */
export function endWithParent() {
  process.on('disconnect', end);
}

/** From here on losing the supervisor is the caller's business. */
export function outliveParent() {
  process.off('disconnect', end);
}

function end() {
  process.exit(1);
}
