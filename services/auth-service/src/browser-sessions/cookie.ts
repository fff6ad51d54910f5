/** A cookie that scripts cannot read, and that browsers do not send with changes that other sites request. */
export interface Cookie {
  readonly name: string
  /** The cookie's value in a request's Cookie header; undefined without one. */
  read(header: string | undefined): string | undefined
  /** The Set-Cookie header that stores a value until the browser is closed, or for some seconds. */
  set(value: string, maxAgeSeconds?: number): string
  /** The Set-Cookie header that deletes the cookie. */
  clear(): string
}

/**
 * With https the name begins with `__Host-`: then browsers accept the cookie only over https, from exactly this host
 * and for all its paths. Browsers refuse such a name over plain http, so on `http://localhost` the name has no prefix.
 * `Lax`: of the requests that another site causes, only links and redirects that open a page have the cookie.
 * Source: RFC 6265bis §4.1.3.2 (`__Host-`), §5.6.7 (`SameSite`).
 */
export function createCookie(baseName: string, isSecure: boolean): Cookie {
  const name = isSecure ? `__Host-${baseName}` : baseName
  const attributes = `Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`
  return {
    name,
    read(header = '') {
      const prefix = `${name}=`
      const pair = header
        .split(';')
        .map((part) => part.trim())
        .find((part) => part.startsWith(prefix))
      return pair === undefined || pair === prefix ? undefined : pair.slice(prefix.length)
    },
    set: (value, maxAgeSeconds) =>
      `${name}=${value}; ${attributes}${maxAgeSeconds === undefined ? '' : `; Max-Age=${maxAgeSeconds}`}`,
    clear: () => `${name}=; ${attributes}; Max-Age=0`,
  }
}
