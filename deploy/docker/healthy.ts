/** The image's health check: whether the service in this container lives. */
const url = `http://127.0.0.1:${process.env['INTERNAL_PORT']}/livez`
const response = await fetch(url, { signal: AbortSignal.timeout(4000) }).catch(() => undefined)
process.exitCode = response?.ok ? 0 : 1
