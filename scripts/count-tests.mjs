// Adds up vitest's JSON reports: node scripts/count-tests.mjs OTHER_FAILURES REPORT... ; names what failed and ends with
// `N passed, N failed`.
import { readFileSync } from 'node:fs'
import { basename, relative } from 'node:path'

const REASON_LINES = 12 // of each failure; the whole of it stands further up, where it happened

const [otherFailures, ...files] = process.argv.slice(2)
let passed = 0
let failed = 0
for (const file of files) {
  const label = basename(file, '.json')
  const report = JSON.parse(readFileSync(file, 'utf8'))
  const brokenFiles = report.testResults.filter(
    (result) => result.status === 'failed' && result.assertionResults.length === 0,
  )
  for (const result of report.testResults)
    for (const test of result.assertionResults)
      if (test.status === 'failed') explain(label, result.name, test.fullName, test.failureMessages.join('\n'))
  for (const result of brokenFiles) explain(label, result.name, '(no test ran)', result.message)
  const notRun = report.numPendingTests + report.numTodoTests
  console.log(`${label}: ${report.numPassedTests} passed, ${report.numFailedTests} failed, ${notRun} not run`)
  passed += report.numPassedTests
  failed += report.numFailedTests + brokenFiles.length + notRun
}
if (passed === 0) failed++
if (failed === 0 && otherFailures !== '0') failed++ // formatting, lint or types
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

function explain(label, file, test, reason) {
  console.log(`FAILED ${label}: ${relative('.', file)}: ${test}`)
  for (const line of reason.split('\n').slice(0, REASON_LINES)) console.log(`  ${line}`)
}
