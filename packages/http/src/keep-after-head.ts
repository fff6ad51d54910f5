import type { Dispatcher } from 'undici'

/**
 * An interceptor of undici that reuses the connection after a HEAD request. Without it undici closes the connection,
 * because some servers send a body in the response. The registry sends none. Clients send HEAD before each upload of a
 * blob, so this saves many connections.
 */
export const keepAfterHead: Dispatcher.DispatcherComposeInterceptor = (dispatch) => (options, handler) =>
  dispatch(options.method === 'HEAD' ? { ...options, reset: false } : options, handler)
