// Package ledger shows how a program of your own is tested in the simulator: its state machine runs against simulated
// brokers whose machines lose power, whose links break and whose clocks drift, thousands of seeds in the time that one
// real run would take, and a failing seed fails again the same way.
//
// The program (ledger.go) keeps accounts. Its log is a topic; [Accounts] applies transfers in the order of the log, and
// [Service] writes and follows it. It knows the world only through [millrace/node/host], which is what makes it run in both
// worlds: in production the host is made by node/host/machine.
//
// The world (world.go) is three brokers, the services as clients, and faults that the seed decides. What must hold is
// written down in one place (ledger_test.go): no money is made or lost, what was confirmed has happened exactly once, and
// services that have read equally far agree. One test plants the bug that such programs usually have, counting an entry
// twice that was written again after a lost answer, and wants the simulator to find it.
package ledger
