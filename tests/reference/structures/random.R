# Structured random effects beside a residual: Rscript random.R [pattern]  ->  random.json
# Every model is fitted by glmmTMB where it has the structure (or by lme4, where the same model can be
# written with plain terms), and maximised tightly as a dense likelihood (dense.R). Fields are those of
# the dense optimum; `package` is what the package gave, and `excess` how far below its log-likelihood
# ended (glmmTMB's REML is a Laplace approximation over the fixed effects too, exact here).
suppressMessages({library(glmmTMB); library(lme4)})
source("frames.R"); source("dense.R")

cases <- list()
case <- function(id, data, fixed, terms, package = NULL, criteria = c(TRUE, FALSE)) {
  for (reml in criteria) {
    key <- paste0(id, if (reml) "_reml" else "_ml")
    stopifnot(is.null(cases[[key]]))
    cases[[key]] <<- list(data = data, fixed = fixed, terms = terms, package = package, reml = reml)
  }
}
# glmmTMB 1.1.5 has us, diag, cs, ar1, toep, ou, exp; homdiag and homcs can be written for lme4
tmb <- function(...) list("glmmTMB", paste(...))
lmer_terms <- function(...) list("lme4", paste(...))

one <- function(prefix, data, fixed, cells, group, time) {
  inside <- sprintf("0 + %s | %s", cells, group)
  for (word in c("us", "diag", "cs", "ar1", "toep"))
    case(paste0(prefix, "_", word), data, fixed, sprintf("%s(%s)", word, inside), tmb(sprintf("%s(%s)", word, inside)))
  case(paste0(prefix, "_homdiag"), data, fixed, sprintf("homdiag(%s)", inside),
       lmer_terms(sprintf("(1 | %s:%s)", group, cells)))
  case(paste0(prefix, "_homcs"), data, fixed, sprintf("homcs(%s)", inside),
       lmer_terms(sprintf("(1 | %s) + (1 | %s:%s)", group, group, cells)))
  for (word in c("hetar1", "homtoep"))
    case(paste0(prefix, "_", word), data, fixed, sprintf("%s(%s)", word, inside))
  case(paste0(prefix, "_ou"), data, fixed, sprintf("ou(0 + %s | %s)", time, group),
       tmb(sprintf("ou(0 + numFactor(%s) | %s)", time, group)))
}
one("sessions", "sessions", y ~ trt * tnum, "visit", "subject", "tnum")
one("wells", "wells", y ~ x + cond, "cond", "well", "depth")
one("clinics", "clinics", y ~ week, "visit", "patient", "week")
for (name in c("fields", "plots", "stand"))
  case(paste0(name, "_exp"), name, y ~ dose, "exp(0 + east + north | field)",
       tmb("exp(0 + numFactor(east, north) | field)"))

# several terms
case("sessions_ar1_site", "sessions", y ~ trt * tnum, c("ar1(0 + visit | subject)", "us(1 | site)"),
     tmb("ar1(0 + visit | subject) + (1 | site)"))
case("sessions_cs_site", "sessions", y ~ trt * tnum, c("cs(0 + visit | subject)", "us(1 | site)"),
     tmb("cs(0 + visit | subject) + (1 | site)"))
case("sessions_hetar1_site", "sessions", y ~ trt * tnum, c("hetar1(0 + visit | subject)", "us(1 | site)"))
case("sessions_toep_site", "sessions", y ~ trt * tnum, c("toep(0 + visit | subject)", "us(1 | site)"),
     tmb("toep(0 + visit | subject) + (1 | site)"))
case("clinics_ou_clinic", "clinics", y ~ week, c("ou(0 + week | patient)", "us(1 | clinic)"),
     tmb("ou(0 + numFactor(week) | patient) + (1 | clinic)"))
case("clinics_homtoep_clinic", "clinics", y ~ week, c("homtoep(0 + visit | patient)", "us(1 | clinic)"))
case("clinics_slopes_diag", "clinics", y2 ~ week, c("diag(1 + week | patient)", "us(1 | clinic)"),
     tmb("diag(1 + week | patient) + (1 | clinic)"))
case("clinics_slopes_cs", "clinics", y2 ~ week, c("cs(1 + week | patient)", "us(1 | clinic)"),
     tmb("cs(1 + week | patient) + (1 | clinic)"))
case("clinics_slopes_homcs", "clinics", y2 ~ week, c("homcs(1 + week | patient)", "us(1 | clinic)"))
case("clinics_slopes_homdiag", "clinics", y2 ~ week, c("homdiag(1 + week | patient)", "us(1 | clinic)"))
case("crossed_cs_diag", "crossed", y ~ cond, c("cs(0 + cond | person)", "diag(0 + cond | item)"),
     tmb("cs(0 + cond | person) + diag(0 + cond | item)"))
case("crossed_homcs_us", "crossed", y ~ cond, c("homcs(0 + cond | person)", "us(0 + cond | item)"))
case("crossed_ar1_homdiag", "crossed", y ~ cond, c("ar1(0 + cond | person)", "homdiag(0 + cond | item)"))
case("crossed_toep_cs", "crossed", y ~ cond, c("toep(0 + cond | person)", "cs(0 + cond | item)"),
     tmb("toep(0 + cond | person) + cs(0 + cond | item)"))

package_fit <- function(spec, d) {
  if (is.null(spec$package)) return(NULL)
  f <- as.formula(paste(deparse1(spec$fixed), "+", spec$package[[2]]))
  if (spec$package[[1]] == "lme4") {
    m <- suppressMessages(lmer(f, d, REML = spec$reml, control =
      lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5), calc.derivs = FALSE)))
    fixef <- lme4::fixef(m)
  } else {
    best <- NULL
    controls <- list(glmmTMBControl(optCtrl = list(iter.max = 2000, eval.max = 3000, rel.tol = 1e-14)),
                     glmmTMBControl(optimizer = optim, optArgs = list(method = "BFGS"),
                                    optCtrl = list(maxit = 2000, reltol = 1e-15)))
    for (control in controls) {
      m <- tryCatch(suppressWarnings(glmmTMB(f, d, REML = spec$reml, control = control)), error = function(e) NULL)
      # glmmTMB's logLik() is NA where it is not sure of the Hessian
      if (!is.null(m) && (is.null(best) || m$fit$objective < best$fit$objective)) best <- m
    }
    if (is.null(best)) return(NULL)
    m <- best
    fixef <- glmmTMB::fixef(m)$cond
    return(list(name = "glmmTMB", call = deparse1(f), logLik = -m$fit$objective, df = attr(logLik(m), "df"),
                sigma = sigma(m), fixef = as.list(fixef)))
  }
  list(name = "lme4", call = deparse1(f), logLik = as.numeric(logLik(m)), df = attr(logLik(m), "df"),
       sigma = sigma(m), fixef = as.list(fixef))
}

lf_term <- function(t) sub("^us", "", t)
wanted <- commandArgs(trailingOnly = TRUE)
if (length(wanted)) cases <- cases[grep(wanted, names(cases))]
out <- list()
for (id in names(cases)) {
  spec <- cases[[id]]; d <- frame(spec$data)
  began <- proc.time()[3]
  ours <- reference(d, spec$fixed, spec$terms, reml = spec$reml)
  theirs <- package_fit(spec, d)
  excess <- if (!is.null(theirs)) ours$logLik - theirs$logLik else NA
  cat(sprintf("%-30s %14.7f  excess %9.1e  df %d %s  grad %.0e curv %.1e  sigma %.3f %s  %.1fs\n", id, ours$logLik,
      excess, ours$df, format(theirs$df), ours$optimum$gradient, ours$optimum$curvature, ours$sigma,
      paste(sapply(ours$terms, function(t) paste0("[", paste(sprintf("%.2f", c(t$sd, t$parameters, t$range)), collapse = " "), "]")), collapse = ""),
      proc.time()[3] - began))
  out[[id]] <- c(list(dataset = spec$data, formula = paste(c(deparse1(spec$fixed), lf_term(spec$terms)), collapse = " + "),
    reml = spec$reml), ours, list(package = theirs, excess = excess))
}
if (!length(wanted)) save_json(list(versions = versions("glmmTMB", "lme4", "numDeriv"), fits = out), "random.json")
