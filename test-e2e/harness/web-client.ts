/** A page as a browser without scripts has it. */
export interface WebPage {
  /** After all redirects. */
  readonly url: string
  readonly status: number
  readonly text: string
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
const MAX_REDIRECTS = 20

/** A browser without scripts: it keeps cookies by host, follows redirects, links and forms. */
export function createWebClient() {
  const jars = new Map<string, Map<string, string>>()
  const jarOf = (url: string) => {
    const { hostname } = new URL(url)
    const jar = jars.get(hostname) ?? new Map<string, string>()
    jars.set(hostname, jar)
    return jar
  }

  const open = async (start: string, form?: URLSearchParams): Promise<WebPage> => {
    let [url, body] = [start, form]
    for (let count = 0; count < MAX_REDIRECTS; count += 1) {
      const jar = jarOf(url)
      const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...(cookie !== '' && { cookie }),
          ...(body && { origin: new URL(url).origin, 'content-type': 'application/x-www-form-urlencoded' }),
        },
        body: body?.toString(),
        redirect: 'manual',
      })
      for (const set of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
        if (value === '' || /max-age=0|expires=thu, 01 jan 1970/i.test(set)) jar.delete(name)
        else jar.set(name, value)
      }
      const location = response.headers.get('location')
      const text = await response.text()
      if (location === null) return { url, status: response.status, text }
      url = new URL(location, url).href
      body = undefined
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects from ${start}`)
  }

  return {
    open,
    /** The cookies of a host, for requests of other clients. */
    cookieOf: (url: string) => [...jarOf(url)].map(([name, value]) => `${name}=${value}`).join('; '),
    /** Follows the link with a text. */
    async follow(page: WebPage, text: string): Promise<WebPage> {
      const links = [...page.text.matchAll(/<a\s[^>]*href="([^"]*)"[^>]*>([^]*?)<\/a>/g)]
      const [, path] = links.find(([, , label]) => label?.trim() === text) ?? []
      if (path === undefined) throw new Error(`${page.url} has no link ${text}: ${page.text}`)
      return open(new URL(unescape(path), page.url).href)
    },
    /** Sends the form whose action ends with a text, with its hidden fields and these. */
    async submit(
      page: WebPage,
      action: string,
      fields: Readonly<Record<string, string>> = {},
    ): Promise<WebPage> {
      const forms = [...page.text.matchAll(/<form\s([^>]*)>([^]*?)<\/form>/g)]
      const target = (attributes = '') => unescape(/action="([^"]*)"/.exec(attributes)?.[1] ?? '')
      const [, attributes, content] =
        forms.find(([, one]) => target(one) === action || target(one).includes(action)) ?? []
      if (attributes === undefined) throw new Error(`${page.url} has no form ${action}: ${page.text}`)
      const hidden = [...(content ?? '').matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([input]) => [
        unescape(/name="([^"]*)"/.exec(input)?.[1] ?? ''),
        unescape(/value="([^"]*)"/.exec(input)?.[1] ?? ''),
      ])
      const form = new URLSearchParams({ ...Object.fromEntries(hidden), ...fields })
      const url = new URL(target(attributes) || page.url, page.url)
      if (/method="post"/i.test(attributes)) return open(url.href, form)
      url.search = form.toString()
      return open(url.href)
    },
  }
}

function unescape(text: string): string {
  return text.replaceAll(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => ENTITIES[name] ?? '')
}
