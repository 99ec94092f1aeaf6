;; How the host enters SQLite: each call runs on the private stack of its query. And how SQLite calls
;; the host back: Workers compile no wrapper for a JavaScript function, so these are exports of ours.
(module
  (import "sqlite" "memory" (memory 1))
  (import "sqlite" "stackSave" (func $save (result i32)))
  (import "sqlite" "stackRestore" (func $restore (param i32)))
  (import "sqlite" "open" (func $open (param i32 i32) (result i32)))
  (import "sqlite" "prepare" (func $prepare (param i32 i32 i32 i32 i32) (result i32)))
  (import "sqlite" "step" (func $step (param i32) (result i32)))
  (import "host" "row" (func $row (param i32) (result i32)))
  (import "host" "authorize" (func $authorize (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "host" "rest" (func $rest (param i32) (result i32)))

  ;; The stack that the host itself runs on; a suspended query must not leave its own behind.
  (global $main (mut i32) (i32.const 0))
  (func (export "initialize") (global.set $main (call $save)))

  (func (export "leave") (result i32)
    (local $stack i32)
    (local.set $stack (call $save))
    (call $restore (global.get $main))
    (local.get $stack))

  (func (export "open") (param $stack i32) (param $name i32) (param $out i32) (result i32)
    (local $code i32)
    (call $restore (local.get $stack))
    (local.set $code (call $open (local.get $name) (local.get $out)))
    (call $restore (global.get $main))
    (local.get $code))

  (func (export "prepare") (param $stack i32)
    (param $db i32) (param $sql i32) (param $bytes i32) (param $out i32) (param $tail i32) (result i32)
    (local $code i32)
    (call $restore (local.get $stack))
    (local.set $code
      (call $prepare
        (local.get $db) (local.get $sql) (local.get $bytes) (local.get $out) (local.get $tail)))
    (call $restore (global.get $main))
    (local.get $code))

  ;; Steps until the statement ends, or the host has had enough rows for now (then 100, SQLITE_ROW).
  (func (export "step") (param $stack i32) (param $statement i32) (result i32)
    (local $code i32)
    (call $restore (local.get $stack))
    (loop $next
      (local.set $code (call $step (local.get $statement)))
      (if (i32.eq (local.get $code) (i32.const 100))
        (then (br_if $next (i32.eqz (call $row (local.get $statement)))))))
    (call $restore (global.get $main))
    (local.get $code))

  (func (export "authorize")
    (param i32) (param i32) (param i32) (param i32) (param i32) (param i32) (result i32)
    (call $authorize (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)))

  ;; SQLite asks every 1,000 steps of its machine. The budget is four words:
  ;; +0 stop, +4 ticks used, +8 ticks allowed, +12 the tick at which to let others run.
  (func (export "progress") (param $budget i32) (result i32)
    (local $ticks i32)
    (local $stack i32)
    (local $code i32)
    (local.set $ticks (i32.add (i32.load offset=4 (local.get $budget)) (i32.const 1)))
    (i32.store offset=4 (local.get $budget) (local.get $ticks))
    (if (i32.load (local.get $budget)) (then (return (i32.const 1))))
    (if (i32.gt_u (local.get $ticks) (i32.load offset=8 (local.get $budget)))
      (then (return (i32.const 1))))
    (if (i32.lt_u (local.get $ticks) (i32.load offset=12 (local.get $budget)))
      (then (return (i32.const 0))))
    (local.set $stack (call $save))
    (call $restore (global.get $main))
    (local.set $code (call $rest (local.get $budget)))
    (call $restore (local.get $stack))
    (local.get $code)))
