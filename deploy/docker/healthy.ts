/** The health check of the image: exit code 0 if the service in this container responds at /livez. */
const url = `http://127.0.0.1:${process.env['INTERNAL_PORT']}/livez`
const response = await fetch(url, { signal: AbortSignal.timeout(4000) }).catch(() => undefined)
process.exitCode = response?.ok ? 0 : 1
