;; Stands between SQLite and the import it reads a file through. Where the host has no page it leaves
;; this query's private stack, suspends until the page is there, comes back and reads again. From
;; `leave` to the suspension and from the resumption to `enter` nothing else can run.
(module
  (import "host" "read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "host" "leave" (func $leave (result i32)))
  (import "host" "enter" (func $enter (param i32)))
  (import "host" "fault" (func $fault (param i32) (result i32)))

  (func (export "read") (param $fd i32) (param $vectors i32) (param $count i32) (param $out i32) (result i32)
    (local $code i32)
    (local $stack i32)
    (loop $again
      (local.set $code
        (call $read (local.get $fd) (local.get $vectors) (local.get $count) (local.get $out)))
      ;; 1000 is no errno: the page is missing.
      (if (i32.ne (local.get $code) (i32.const 1000)) (then (return (local.get $code))))
      (local.set $stack (call $leave))
      (local.set $code (call $fault (local.get $fd)))
      (call $enter (local.get $stack))
      (br_if $again (i32.eqz (local.get $code))))
    ;; EPERM becomes SQLITE_IOERR; EIO would become SQLITE_CORRUPT, and EINTR be tried for ever.
    (i32.const 63)))
