"""The console: pages at `/console` on which security teams see, judge and prove what the guard blocked.

Pages are asked for in `pages`, `judging` and `signing_in`; they read leaks through `service.review`, never past it.
"""
