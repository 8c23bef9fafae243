# R's side of benchmarks/structures.py: Rscript structures.R ITEM REPETITIONS OUT DATA
# Fits of nlme and glmmTMB with their default controls, by REML; a call ends when coefficients, their
# covariance, the covariance parameters and the log-likelihood have been read. Times and answers as
# JSON; packages and data are loaded, and a first small fit is made, outside the clock.

suppressPackageStartupMessages({
  library(nlme)
  library(glmmTMB)
  library(jsonlite)
})
options(warn = -1)

seconds <- function(expression) {
  invisible(gc())
  unname(system.time(expression, gcFirst = FALSE)["elapsed"])
}

# Slow fits are not repeated as often: at most about two minutes for one contender.
repeated <- function(n, call) {
  first <- seconds(answer <- call())
  n <- max(1, min(n, floor(120 / first)))
  times <- if (n == 1) first else vapply(seq_len(n), function(i) seconds(call()), 0)
  c(list(seconds = I(times)), answer)
}

of_gls <- function(model) {
  s <- model$modelStruct
  list(llf = as.numeric(logLik(model)), fixef = unname(coef(model)), se = unname(sqrt(diag(vcov(model)))),
       sigma = model$sigma, parameters = I(c(
         if (!is.null(s$corStruct)) as.numeric(coef(s$corStruct, unconstrained = FALSE)),
         if (!is.null(s$varStruct)) as.numeric(coef(s$varStruct, unconstrained = FALSE)))))
}

of_lme <- function(model) {
  s <- model$modelStruct
  list(llf = as.numeric(logLik(model)), fixef = unname(fixef(model)), se = unname(sqrt(diag(vcov(model)))),
       sigma = model$sigma, parameters = I(as.numeric(coef(s$varStruct, unconstrained = FALSE))))
}

# glmmTMB's logLik() is NA where it is not sure of the Hessian; the objective is there
of_tmb <- function(model) {
  v <- VarCorr(model)$cond[[1]]
  list(llf = -model$fit$objective, fixef = unname(fixef(model)$cond),
       se = unname(sqrt(diag(vcov(model)$cond))), sigma = sigma(model),
       parameters = I(c(attr(v, "stddev")[1], attr(v, "correlation")[2, 1])))
}

arguments <- commandArgs(trailingOnly = TRUE)
n <- as.integer(arguments[2])
d <- read.csv(arguments[4])
for (name in c("g", "visit", "trt")) d[[name]] <- factor(d[[name]])
small <- droplevels(d[d$g %in% levels(d$g)[1:40], ])

calls <- list(
  ar1_residual = list(
    "nlme gls" = function(d) of_gls(gls(y ~ x + trt, d, correlation = corAR1(form = ~ time | g))),
    glmmTMB = function(d) of_tmb(glmmTMB(y ~ x + trt + ar1(0 + visit | g), d, dispformula = ~ 0, REML = TRUE))),
  ar1_random = list(
    glmmTMB = function(d) of_tmb(glmmTMB(y ~ x + trt + ar1(0 + visit | g), d, REML = TRUE))),
  cs_residual = list(
    "nlme gls" = function(d) of_gls(gls(y ~ x + trt, d, correlation = corCompSymm(form = ~ 1 | g)))),
  us_residual = list(
    "nlme gls" = function(d) of_gls(gls(y ~ x + trt, d, correlation = corSymm(form = ~ time | g),
                                        weights = varIdent(form = ~ 1 | visit))),
    glmmTMB = function(d) of_tmb(glmmTMB(y ~ x + trt + us(0 + visit | g), d, dispformula = ~ 0, REML = TRUE))),
  ident_lme = list(
    "nlme lme" = function(d) of_lme(lme(y ~ x + trt, d, random = ~ 1 | g, weights = varIdent(form = ~ 1 | trt))))
)
calls$ar1_residual_gaps <- calls$ar1_residual
calls$ar1_random_gaps <- calls$ar1_random

fits <- lapply(calls[[arguments[1]]], function(call) {
  invisible(call(small))
  repeated(n, function() call(d))
})
answer <- list(fits = fits, versions = list(
  R = as.character(getRversion()), nlme = as.character(packageVersion("nlme")),
  glmmTMB = as.character(packageVersion("glmmTMB")), TMB = as.character(packageVersion("TMB"))))
write(toJSON(answer, auto_unbox = TRUE, digits = NA), arguments[3])
