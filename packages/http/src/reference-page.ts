import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const { version } = require('swagger-ui-dist/package.json') as { readonly version: string }

/** A file that the page loads. Its name contains the version, so that browsers may keep it. */
export interface PageFile {
  readonly name: string
  readonly type: string
  readonly read: () => Promise<string | Buffer>
}

/**
 * Shows the document whose path is in the page. The page sends no request of the API, and has no form for credentials:
 * it never sees a password.
 */
const START = `const root = document.getElementById('reference')
const nothing = () => () => null
SwaggerUIBundle({
  url: root.dataset.document,
  domNode: root,
  deepLinking: true,
  validatorUrl: null,
  supportedSubmitMethods: [],
  defaultModelsExpandDepth: -1,
  plugins: [{ wrapComponents: { authorizeBtn: nothing, authorizeOperationBtn: nothing } }],
})
`

const SCRIPT = 'text/javascript; charset=utf-8'
const distributed = (file: string, type: string): PageFile => ({
  name: `${version}-${file}`,
  type,
  read: () => readFile(require.resolve(`swagger-ui-dist/${file}`)),
})

/** Swagger UI's own files, and the script that starts it. */
export const PAGE_FILES = {
  styles: distributed('swagger-ui.css', 'text/css; charset=utf-8'),
  renderer: distributed('swagger-ui-bundle.js', SCRIPT),
  start: { name: `${version}-start.js`, type: SCRIPT, read: async () => START },
} satisfies Record<string, PageFile>

export interface ReferencePage {
  readonly title: string
  /** The path of the page, below which its files and the document are. */
  readonly path: string
  /** The path of the OpenAPI document. */
  readonly document: string
}

/** The HTML of a page that shows an OpenAPI document. It has no inline script. */
export function referencePage({ title, path, document }: ReferencePage): string {
  const { styles, renderer, start } = PAGE_FILES
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${escape(title)}</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="${path}/${styles.name}">
  </head>
  <body>
    <noscript>This page needs JavaScript. The <a href="${document}">OpenAPI document</a> does not.</noscript>
    <div id="reference" data-document="${document}"></div>
    <script src="${path}/${renderer.name}"></script>
    <script src="${path}/${start.name}"></script>
  </body>
</html>
`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
