// The admin page: one more face of the operations. Plain DOM; everything is text, nothing is ever parsed as HTML.

const API = '/api/v1/'
const KEPT_AS = 'hearth-operator-token'
const REFRESH_MS = 15_000
const FOUND_MAX = 20

const $ = (id) => document.getElementById(id)
let token = sessionStorage.getItem(KEPT_AS)
let timer

class Refused extends Error {
  constructor(status, detail) {
    super(detail)
    this.status = status
  }
}

async function ask(operation, input = {}) {
  const response = await fetch(API + operation, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(input),
    credentials: 'omit',
  })
  const answer = await response.json()
  if (!response.ok) throw new Refused(response.status, answer.detail ?? `status ${response.status}`)
  return answer
}

// Small makers of elements: texts and elements as children, attributes first.

function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children)
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS('http://www.w3.org/2000/svg', name), attributes, children)
}

function filled(made, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(key, value)
    else if (value !== undefined) made.setAttribute(key, value)
  }
  made.append(...children.filter((child) => child !== undefined))
  return made
}

const number = new Intl.NumberFormat('en')
const when = (date) =>
  new Date(date).toLocaleString('en-GB', { day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit' })
const weekday = (date) =>
  new Date(date).toLocaleString('en-GB', { weekday: 'short', hour: '2-digit', minute: '2-digit' })
const time = (date) => element('time', { datetime: date }, when(date))
const badge = (text, kind = '') => element('span', { class: `badge ${kind}` }, text)

// Routers.

const TILES = [
  ['valid', 'valid', 'good'],
  ['expiring', 'expiring', 'warn'],
  ['failed', 'failed', 'bad'],
  ['enrolled', 'no certificate yet', ''],
  ['waiting', 'never enrolled', ''],
  ['revoked', 'revoked', ''],
]

function showFleet({ counts, counted, ends }) {
  $('fleet').replaceChildren(
    ...TILES.map(([state, label, kind]) => {
      const count = counts?.[state]
      return element(
        'li',
        { class: count > 0 ? kind : '', 'data-state': state },
        element('b', {}, count === undefined ? '–' : number.format(count)),
        label,
      )
    }),
  )
  $('counted').textContent = counted
    ? `Counted ${when(counted)}. Expiring ones are part of valid and late.`
    : 'Being counted…'
  $('ends').replaceChildren(...endsPicture(ends))
}

// Authorities.

const STATES = { closed: ['works', 'good'], open: ['out', 'bad'], 'half-open': ['returning', 'warn'] }

function showAuthorities({ authorities, failOvers }) {
  $('authorities').replaceChildren(
    ...authorities.map(({ id, kind, state, since, issued, failed, lastError, budgets }) =>
      element(
        'article',
        { class: 'card' },
        element('h3', {}, id, badge(...STATES[state]), element('small', { class: 'kind' }, kind)),
        element(
          'p',
          {},
          `${number.format(issued)} issued, ${number.format(failed)} failed; in this state since `,
          time(since),
        ),
        lastError && element('p', { class: 'note' }, 'Last failure ', time(lastError.at), `: ${lastError.reason}`),
        ...budgets.map(({ name, used, max }) =>
          element(
            'label',
            { class: 'budget' },
            element('span', {}, name.replaceAll('-', ' ')),
            element('span', {}, `${number.format(used)} of ${number.format(max)}`),
            element('progress', { value: used, max }),
          ),
        ),
      ),
    ),
  )
  const changes = failOvers
    .toReversed()
    .map(({ at, authority, to, reason }) =>
      element('li', {}, time(at), ' ', authority, ' ', badge(...STATES[to]), reason === undefined ? '' : ` ${reason}`),
    )
  $('failovers').replaceChildren(...(changes.length > 0 ? changes : [element('li', { class: 'note' }, 'None so far.')]))
}

// Pictures.

const WIDTH = 480
const HEIGHT = 150
const BASE = 120
const TOP = 14

function picture(label, ...shapes) {
  return shape(
    'svg',
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label },
    shape('line', { class: 'axis', x1: 0, x2: WIDTH, y1: BASE, y2: BASE }),
    ...shapes,
  )
}

function bar(kind, x, width, height, bottom, title) {
  const box = { class: kind, x: x.toFixed(1), width: width.toFixed(1), height: height.toFixed(1) }
  return shape('rect', { ...box, y: (bottom - height).toFixed(1) }, shape('title', {}, title))
}

function words(x, y, text, anchor = 'start') {
  return shape('text', { x, y, 'text-anchor': anchor }, text)
}

function showHistory({ steps }) {
  const most = Math.max(1, ...steps.map(({ issued, failed }) => issued + failed))
  const wide = WIDTH / Math.max(1, steps.length)
  const scale = (BASE - TOP) / most
  const bars = steps.flatMap(({ start, issued, failed }, place) => {
    const title = `${when(start)}: ${issued} issued, ${failed} failed`
    const box = [place * wide, Math.max(1, wide - 1)]
    return [
      ...(issued > 0 ? [bar('issued', ...box, issued * scale, BASE, title)] : []),
      ...(failed > 0 ? [bar('failed', ...box, failed * scale, BASE - issued * scale, title)] : []),
    ]
  })
  const [issued, failed] = ['issued', 'failed'].map((what) => steps.reduce((sum, step) => sum + step[what], 0))
  const marks = steps.filter((_, place) => place % 24 === 0)
  $('issuance').replaceChildren(
    picture(
      `${issued} certificates issued and ${failed} failed in the last 48 hours`,
      ...bars,
      words(0, 10, `at most ${number.format(most)} in half an hour`),
      ...marks.map(({ start }, place) => words(place * 24 * wide, HEIGHT - 12, weekday(start))),
    ),
    element(
      'figcaption',
      { class: 'note key' },
      element('span', {}, element('i', { class: 'issued' }), `${number.format(issued)} issued`),
      element('span', {}, element('i', { class: 'failed' }), `${number.format(failed)} failed`),
      element('span', {}, 'by this instance'),
    ),
  )
}

function endsPicture(ends) {
  if (ends.length === 0) return [element('p', { class: 'note' }, 'Being counted…')]
  const most = Math.max(1, ...ends.map(({ count }) => count))
  const wide = WIDTH / ends.length
  const shapes = ends.flatMap(({ days, count }, place) => {
    const name = days === undefined ? `>${ends.at(-2)?.days}` : `≤${days}`
    const middle = (place + 0.5) * wide
    const height = (count * (BASE - TOP)) / most
    return [
      ...(count > 0
        ? [bar('issued', place * wide + 2, wide - 4, Math.max(1, height), BASE, `${name} days: ${count}`)]
        : []),
      ...(count > 0 ? [words(middle, BASE - height - 3, number.format(count), 'middle')] : []),
      words(middle, HEIGHT - 12, name.replace('≤', ''), 'middle'),
    ]
  })
  const all = ends.map(({ days, count }) => `${count} within ${days ?? 'more'} days`).join(', ')
  return [picture(`Certificates by days left: ${all}`, ...shapes)]
}

// One router.

const STANDINGS = { valid: 'good', failed: 'bad' }

async function search(text) {
  const name = text.trim().toLowerCase()
  // Names are listed in order: those that begin so come right after what they begin with.
  const [exact, { devices }] = await Promise.all([
    ask('device-show', { name }).catch((error) => {
      if (error.status !== 404) throw error
    }),
    ask('device-list', { after: name, limit: FOUND_MAX }),
  ])
  const found = devices.filter((device) => device.name.startsWith(name) && device.name !== exact?.name)
  const all = [...(exact ? [exact] : []), ...found]
  if (all.length === 1) return showDevice(all[0].name)
  $('found').replaceChildren(
    all.length === 0
      ? element('p', {}, `No router has a name that begins with ${name}.`)
      : element('ul', { class: 'rows' }, ...all.map((device) => element('li', {}, picker(device)))),
  )
}

function picker({ name, state }) {
  const attributes = { type: 'button', class: 'pick', click: guarded(() => showDevice(name)) }
  return element('button', attributes, element('span', {}, name), badge(state, STANDINGS[state]))
}

async function showDevice(name) {
  const [device, { orders }] = await Promise.all([
    ask('device-show', { name }),
    ask('order-list', { device: name, limit: 100 }),
  ])
  const facts = [
    ['added', device.added],
    ['enrolled', device.enrolledAt],
    ['certificate until', device.validUntil],
    ['new key made', device.rotatedAt],
    ['revoked', device.revokedAt],
  ].filter(([, date]) => date !== undefined)
  $('found').replaceChildren(
    element(
      'article',
      { class: 'card' },
      element('h3', { tabindex: '-1' }, device.name, badge(device.state, STANDINGS[device.state])),
      element(
        'dl',
        {},
        ...facts.flatMap(([label, date]) => [element('dt', {}, label), element('dd', {}, time(date))]),
        ...(device.account ? [element('dt', {}, 'account'), element('dd', {}, device.account)] : []),
      ),
      element('h3', {}, orders.length === 0 ? 'No orders' : 'Orders and certificates'),
      element('ul', { class: 'rows' }, ...orders.map(orderRow)),
    ),
  )
  $('found').querySelector('h3').focus()
}

const ORDERS = { valid: 'good', invalid: 'bad', processing: 'warn' }

function orderRow({ id, status, names, renews, expires, validUntil, error }) {
  return element(
    'li',
    {},
    badge(status, ORDERS[status]),
    ` ${names.join(', ')}`,
    validUntil ? element('p', {}, 'certificate until ', time(validUntil)) : undefined,
    element('p', { class: 'note' }, renews ? 'renews by itself, ends ' : 'ends ', time(expires), ` · order ${id}`),
    error && element('p', { class: 'error' }, error),
  )
}

// Coming and going.

function guarded(work) {
  return async (...given) => {
    try {
      $('board-error').textContent = ''
      await work(...given)
    } catch (error) {
      if (error.status === 401) leave(error.message)
      else $('board-error').textContent = error instanceof Refused ? error.message : 'The service does not answer.'
    }
  }
}

async function refresh() {
  clearTimeout(timer)
  const [fleet, health, history] = await Promise.all([
    ask('fleet-show'),
    ask('authority-health'),
    ask('issuance-history'),
  ])
  $('login').hidden = true
  $('board').hidden = false
  $('leave').hidden = false
  showFleet(fleet)
  showAuthorities(health)
  showHistory(history)
  $('updated').textContent = `as of ${new Date().toLocaleTimeString('en-GB')}`
}

async function keepFresh() {
  await guarded(refresh)()
  if (token) timer = setTimeout(keepFresh, REFRESH_MS)
}

function leave(reason = '') {
  clearTimeout(timer)
  token = null
  sessionStorage.removeItem(KEPT_AS)
  $('board').hidden = true
  $('leave').hidden = true
  $('login').hidden = false
  $('found').replaceChildren()
  $('updated').textContent = ''
  $('login-error').textContent = reason
  $('token').focus()
}

async function enter(given) {
  token = given
  try {
    await refresh()
    sessionStorage.setItem(KEPT_AS, token)
    timer = setTimeout(keepFresh, REFRESH_MS)
    $('name').focus({ preventScroll: true })
  } catch (error) {
    leave(error instanceof Refused ? error.message : 'The service does not answer.')
  }
}

$('login-form').addEventListener('submit', (event) => {
  event.preventDefault()
  void enter($('token').value.trim())
  $('token').value = ''
})
$('search').addEventListener('submit', (event) => {
  event.preventDefault()
  void guarded(search)($('name').value)
})
$('leave').addEventListener('click', () => leave())

if (token) void keepFresh()
else leave()
