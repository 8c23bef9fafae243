# lme4 under the protocol of benchmarks/worker.py: JSON lines on standard input and output.
# The runner writes the frame as raw columns (exact, fast to read) with a small JSON description.

suppressPackageStartupMessages({
  library(lme4)
  library(jsonlite)
})

say <- function(...) {
  cat(toJSON(list(...), auto_unbox = TRUE, digits = NA, null = "null", na = "null"), "\n", sep = "")
  flush(stdout())
}

read_frame <- function(directory) {
  spec <- fromJSON(file.path(directory, "frame.json"), simplifyVector = FALSE)
  columns <- lapply(spec$columns, function(column) {
    connection <- file(file.path(directory, column$file), "rb")
    on.exit(close(connection))
    if (is.null(column$levels)) {
      return(readBin(connection, "double", spec$n, size = 8, endian = "little"))
    }
    codes <- readBin(connection, "integer", spec$n, size = 4, endian = "little")
    codes[codes < 0L] <- NA
    levels <- unlist(column$levels)
    kind <- if (isTRUE(column$ordered)) c("ordered", "factor") else "factor"
    structure(codes + 1L, levels = levels, class = kind)
  })
  names(columns) <- vapply(spec$columns, function(column) column$name, "")
  as.data.frame(columns, check.names = FALSE)
}

# New vectors for every call.
fresh <- function(frame) {
  as.data.frame(lapply(frame, function(v) {
    if (is.factor(v)) {
      structure(as.integer(v) + 0L, levels = levels(v) , class = class(v))
    } else {
      v + 0
    }
  }), check.names = FALSE)
}

kilobytes <- function(field) {
  lines <- tryCatch(readLines("/proc/self/status"), error = function(e) character())
  line <- grep(paste0("^", field), lines, value = TRUE)
  if (length(line)) as.numeric(gsub("[^0-9]", "", line)) else NA
}

reset_peak <- function() {
  invisible(gc())
  tryCatch(cat("5", file = "/proc/self/clear_refs"), error = function(e) NULL)
}

read_results <- function(model, reml) {
  list(
    model = model, params = fixef(model), bse = sqrt(diag(as.matrix(vcov(model)))),
    theta = getME(model, "theta"), sigma = sigma(model),
    objective = if (reml) REMLcrit(model) else deviance(model)
  )
}

fit <- function(frame, formula, reml) {
  suppressMessages(suppressWarnings(read_results(lmer(formula, frame, REML = reml), reml)))
}

clock <- function(call) {
  invisible(gc())
  start <- as.numeric(Sys.time())
  value <- call()
  list(seconds = as.numeric(Sys.time()) - start, value = value)
}

complaints <- function(model) {
  notes <- unlist(model@optinfo$conv$lme4$messages)
  paste(c(if (isSingular(model)) "singular", notes), collapse = "; ")
}

serve <- function(request, input) {
  formula <- as.formula(request$formula)
  reml <- request$criterion == "REML"
  frame <- read_frame(request$frame_dir)
  blas <- basename(sessionInfo()$BLAS)
  say(
    event = "loaded", frame_mb = as.numeric(object.size(frame)) / 2^20,
    version = as.character(packageVersion("lme4")),
    versions = list(R = paste(R.version$major, R.version$minor, sep = "."), blas = blas)
  )
  small <- data.frame(y = sin(1:400), x = cos(1:400 * 3), g = factor(rep(1:20, 20)))
  invisible(fit(small, y ~ x + (1 | g), FALSE))

  if (request$stage == "refit") {
    model <- suppressMessages(lmer(formula, fresh(frame), REML = reml))
    y <- model@resp$y
    make <- function(i) {
      response <- if (i == 0) y + 0 else y + 0.1 * sd(y) * rnorm(length(y))
      function() suppressMessages(suppressWarnings(read_results(refit(model, response), reml)))
    }
  } else {
    make <- function(i) {
      data <- fresh(frame)
      function() fit(data, formula, reml)
    }
  }
  set.seed(20240502)
  call <- make(0)
  reset_peak()
  before <- kilobytes("VmRSS")
  first <- clock(call)
  peak <- kilobytes("VmHWM")
  say(
    event = "answer", seconds = first$seconds, peak_mb = (peak - before) / 1024,
    criterion = request$criterion, objective = first$value$objective,
    evaluations = first$value$model@optinfo$feval, evaluations_kind = "criterion",
    message = complaints(first$value$model)
  )
  rm(first, call)
  repetitions <- fromJSON(readLines(input, 1))$repetitions
  for (i in seq_len(repetitions)) {
    call <- make(i)
    say(event = "time", seconds = clock(call)$seconds)
  }
  say(event = "done")
}

input <- file("stdin")
open(input)
request <- fromJSON(readLines(input, 1), simplifyVector = FALSE)
tryCatch(
  serve(request, input),
  error = function(e) {
    reason <- substr(gsub("\\s+", " ", conditionMessage(e)), 1, 300)
    say(event = "stopped", status = "failed", reason = reason)
  }
)
