# The Gaussian likelihood of a mixed model with structured random effects and residuals, written out
# with dense matrices (one per connected set of rows) and maximised tightly. Sourced by the scripts
# here. It knows the structures by their textbook definitions only.
#
# A term is "word(effects | group)", a residual structure "word(time | group)", a variance function
# "ident(g)", "power(x)", "exp(x)" or with strata "power(x | g)"; several are joined by " + ".
suppressMessages(library(numDeriv))

parse_call <- function(text) {
  m <- regmatches(text, regexec("^(\\w+)\\((.*?)( *\\| *(.*))?\\)$", text, perl = TRUE))[[1]]
  list(word = m[2], left = trimws(m[3]), right = if (nzchar(m[5])) trimws(m[5]) else NULL)
}

as_group <- function(name, d) {
  if (is.null(name)) return(factor(rep("all", nrow(d))))
  interaction(d[strsplit(name, ":")[[1]]], drop = TRUE, sep = ":")
}

# ---- correlation and covariance matrices of k effects -------------------------------------------

lagged <- function(rho, k) matrix(c(1, rho)[abs(outer(1:k, 1:k, "-")) + 1], k, k)

# Partial autocorrelations in (-1, 1) give every positive definite Toeplitz matrix once.
from_partial <- function(partial) {
  rho <- partial[1]; phi <- partial[1]
  for (j in seq_along(partial)[-1]) {
    following <- partial[j] * (1 - sum(phi * rho)) + sum(phi * rev(rho))
    phi <- c(phi - partial[j] * rev(phi), partial[j])
    rho <- c(rho, following)
  }
  rho
}

from_rows <- function(z, k) {
  L <- diag(k); L[upper.tri(L)] <- z; L <- t(L)
  tcrossprod(L / sqrt(rowSums(L^2)))
}

exchangeable <- function(z, k) -1 / (k - 1) + (1 + 1 / (k - 1)) * plogis(z)

arma_lags <- function(phi, theta, k) {
  first <- (phi + theta) * (1 + phi * theta) / (1 + 2 * phi * theta + theta^2)
  first * phi^(seq_len(k - 1) - 1)
}

# number of correlation parameters, natural values from working ones, matrix from natural ones
correlations <- list(
  us = list(n = function(k) k * (k - 1) / 2,
            natural = function(z, k) { C <- from_rows(z, k); C[lower.tri(C)] },
            matrix = function(r, k) { C <- diag(k); C[lower.tri(C)] <- r; C + t(C) - diag(k) }),
  none = list(n = function(k) 0, natural = function(z, k) numeric(0),
              matrix = function(r, k) diag(k)),
  cs = list(n = function(k) 1, natural = exchangeable,
            matrix = function(r, k) { C <- matrix(r, k, k); diag(C) <- 1; C }),
  ar1 = list(n = function(k) 1, natural = function(z, k) tanh(z),
             matrix = function(r, k) lagged(r^seq_len(k - 1), k)),
  arma = list(n = function(k) 2, natural = function(z, k) tanh(z),
              matrix = function(r, k) lagged(arma_lags(r[1], r[2], k), k)),
  toep = list(n = function(k) k - 1, natural = function(z, k) from_partial(tanh(z)),
              matrix = function(r, k) lagged(r, k)))

# word -> correlation and whether every position has a variance of its own
words <- list(us = c("us", TRUE), homus = c("us", FALSE), diag = c("none", TRUE),
  homdiag = c("none", FALSE), cs = c("cs", TRUE), homcs = c("cs", FALSE),
  ar1 = c("ar1", FALSE), hetar1 = c("ar1", TRUE), arma = c("arma", FALSE),
  hetarma = c("arma", TRUE), toep = c("toep", TRUE), homtoep = c("toep", FALSE))

# ---- pieces: each has n parameters, a function adding to the covariance of one block of rows,
# ---- and a function giving its natural parameters -----------------------------------------------

distances <- function(d, columns) as.matrix(dist(as.matrix(d[columns])))

term_piece <- function(text, d) {
  p <- parse_call(text)
  g <- as_group(p$right, d)
  same <- outer(as.integer(g), as.integer(g), "==")
  if (p$word %in% c("ou", "exp")) {
    columns <- setdiff(trimws(strsplit(p$left, "+", fixed = TRUE)[[1]]), "0")
    D <- distances(d, columns)
    return(list(n = 2, start = c(log(0.7), log(median(D[D > 0 & same]))), group = g, text = text,
      add = function(V, w, rows) V + exp(2 * w[1] - D[rows, rows] / exp(w[2])) * same[rows, rows],
      natural = function(w, sigma) list(sd = exp(w[1]) * sigma, range = exp(w[2]),
                                        rho = exp(-1 / exp(w[2])))))
  }
  Z <- model.matrix(as.formula(paste("~", p$left)), d)
  k <- ncol(Z); kind <- words[[p$word]]; corr <- correlations[[kind[1]]]
  if (k == 1) corr <- correlations$none
  n_sd <- if (kind[2] == "TRUE") k else 1
  r <- corr$n(k)
  size <- if (n_sd == k) sqrt(colMeans(Z[, , drop = FALSE]^2) * if (all(Z %in% 0:1)) k else 1) else 1
  inside <- function(w) {
    sd <- rep_len(exp(w[seq_len(n_sd)]), k)
    C <- corr$matrix(corr$natural(w[n_sd + seq_len(r)], k), k)
    list(sd = sd, corr = C, rho = corr$natural(w[n_sd + seq_len(r)], k))
  }
  list(n = n_sd + r, start = c(log(rep_len(0.7 / size, n_sd)), rep(0.3, r)), group = g, text = text,
    add = function(V, w, rows) {
      s <- inside(w)
      Zb <- Z[rows, , drop = FALSE]
      V + (Zb %*% (s$corr * outer(s$sd, s$sd)) %*% t(Zb)) * same[rows, rows]
    },
    natural = function(w, sigma) {
      s <- inside(w)
      list(names = colnames(Z), sd = s$sd * sigma, corr = unname(s$corr), parameters = s$rho)
    })
}

variance_piece <- function(text, d) {
  p <- parse_call(text)
  if (p$word == "ident") {
    g <- as_group(p$left, d); k <- nlevels(g)
    return(list(n = k - 1, start = rep(0.1, k - 1),
      sd = function(w) exp(c(0, w))[as.integer(g)],
      natural = function(w) list(text = text, ratio = as.list(setNames(exp(c(0, w)), levels(g))))))
  }
  x <- d[[p$left]]; g <- as_group(p$right, d); k <- nlevels(g)
  list(n = k, start = rep(0.05, k),
    sd = function(w) if (p$word == "power") abs(x)^w[as.integer(g)] else exp(w[as.integer(g)] * x),
    natural = function(w) {
      value <- if (is.null(p$right)) w else as.list(setNames(w, levels(g)))
      setNames(list(text, value), c("text", if (p$word == "power") "power" else "expon"))
    })
}

residual_piece <- function(text, d) {
  p <- parse_call(text)
  g <- as_group(p$right, d)
  if (p$left == "1") {
    position <- ave(seq_len(nrow(d)), g, FUN = seq_along)
  } else position <- d[[p$left]]
  if (p$word == "car1")
    return(list(n = 1, start = 0, group = g, sd = function(w) 1,
      matrix = function(w, rows) plogis(w)^abs(outer(position[rows], position[rows], "-")),
      natural = function(w, sigma) list(text = text, phi = plogis(w))))
  labels <- if (is.factor(position)) levels(droplevels(position)) else sort(unique(position))
  kind <- words[[p$word]]
  if (p$word == "cs" && p$left == "1") kind <- words$homcs
  at <- if (is.factor(position)) as.integer(droplevels(position)) else position - min(position) + 1
  k <- max(at); corr <- correlations[[kind[1]]]; r <- corr$n(k)
  stopifnot(all(at == round(at)), kind[2] != "TRUE" || k == length(labels))
  n_sd <- if (kind[2] == "TRUE") k - 1 else 0
  ratios <- function(w) if (n_sd) exp(c(0, w[r + seq_len(n_sd)])) else rep(1, k)
  lags <- kind[1] %in% c("ar1", "arma", "toep")
  list(n = r + n_sd, start = c(rep(0.3, r), rep(0.05, n_sd)), group = g,
    sd = function(w) ratios(w)[at],
    matrix = function(w, rows)
      corr$matrix(corr$natural(w[seq_len(r)], k), k)[at[rows], at[rows], drop = FALSE],
    natural = function(w, sigma) {
      rho <- corr$natural(w[seq_len(r)], k)
      out <- list(text = text, parameters = rho, first_row = corr$matrix(rho, k)[1, ])
      if (kind[1] == "us") out$corr <- corr$matrix(rho, k)
      if (n_sd) out$ratio <- as.list(setNames(ratios(w), as.character(labels)))
      if (n_sd) out$sd <- as.list(setNames(ratios(w) * sigma, as.character(labels)))
      out
    })
}

# ---- likelihood ---------------------------------------------------------------------------------

# Rows that any group joins, directly or through others.
connected <- function(groups, n) {
  label <- seq_len(n)
  repeat {
    before <- label
    for (g in groups) label <- ave(label, g, FUN = min)
    if (identical(before, label)) return(split(seq_len(n), label))
  }
}

dense_model <- function(d, fixed, terms = NULL, residual = NULL, variance = NULL, weights = NULL,
                        reml = TRUE) {
  frame <- model.frame(fixed, d)
  X <- model.matrix(fixed, frame); y <- model.response(frame)
  n <- nrow(X); p <- ncol(X)
  T <- lapply(terms, term_piece, d = d)
  R <- if (!is.null(residual)) residual_piece(residual, d)
  S <- lapply(if (!is.null(variance)) strsplit(variance, " + ", fixed = TRUE)[[1]], variance_piece, d = d)
  blocks <- connected(c(lapply(T, `[[`, "group"), if (!is.null(R)) list(R$group)), n)
  pieces <- c(T, if (!is.null(R)) list(R), S)
  sizes <- vapply(pieces, `[[`, 0, "n")
  at <- split(seq_len(sum(sizes)), rep(factor(seq_along(sizes)), sizes))
  at <- lapply(seq_along(sizes), function(i) at[[as.character(i)]])
  index_S <- length(T) + as.integer(!is.null(R)) + seq_along(S)
  solve_at <- function(w) {
    sd <- if (is.null(weights)) rep(1, n) else 1 / sqrt(d[[weights]])
    if (!is.null(R)) sd <- sd * R$sd(w[at[[length(T) + 1]]])
    for (i in seq_along(S)) sd <- sd * S[[i]]$sd(w[at[[index_S[i]]]])
    logdet <- 0; A <- matrix(0, p + 1, p + 1)
    for (rows in blocks) {
      if (is.null(R)) V <- diag(sd[rows]^2, length(rows)) else {
        C <- R$matrix(w[at[[length(T) + 1]]], rows)
        same <- outer(R$group[rows], R$group[rows], "==")
        V <- C * same * outer(sd[rows], sd[rows])
      }
      for (i in seq_along(T)) V <- T[[i]]$add(V, w[at[[i]]], rows)
      U <- tryCatch(chol(V), error = function(e) NULL)
      if (is.null(U)) return(NULL)
      logdet <- logdet + 2 * sum(log(diag(U)))
      A <- A + crossprod(backsolve(U, cbind(X[rows, , drop = FALSE], y[rows]), transpose = TRUE))
    }
    xx <- A[1:p, 1:p, drop = FALSE]; U <- chol(xx)
    beta <- backsolve(U, backsolve(U, A[1:p, p + 1], transpose = TRUE))
    rss <- A[p + 1, p + 1] - sum(beta * A[1:p, p + 1])
    df <- if (reml) n - p else n
    sigma2 <- rss / df
    list(llf = -0.5 * (df * (log(2 * pi * sigma2) + 1) + logdet +
                         if (reml) 2 * sum(log(diag(U))) else 0),
         beta = setNames(beta, colnames(X)), sigma = sqrt(sigma2), vcov = sigma2 * chol2inv(U))
  }
  list(solve = solve_at, start = unlist(lapply(pieces, `[[`, "start")), n = n, p = p, at = at,
       T = T, R = R, S = S, index_S = index_S, reml = reml)
}

value <- function(model) function(w) {
  s <- tryCatch(model$solve(w), error = function(e) NULL)
  if (is.null(s) || !is.finite(s$llf)) 1e10 else -s$llf
}

# numDeriv's steps are relative to the arguments, so they are counted from one.
derivative <- function(f, w, order) {
  moved <- function(u) f(w + u - 1)
  if (order == 1) grad(moved, rep(1, length(w)), method.args = list(d = 0.01)) else
    hessian(moved, rep(1, length(w)))
}

newton <- function(f, w, steps = 12) {
  best <- f(w)
  for (i in seq_len(steps)) {
    g <- derivative(f, w, 1)
    H <- derivative(f, w, 2)
    e <- eigen(H, symmetric = TRUE)
    step <- -drop(e$vectors %*% (crossprod(e$vectors, g) / pmax(abs(e$values), 1e-6)))
    size <- 1
    while (size > 1e-4 && f(w + size * step) > best + 1e-9) size <- size / 2
    if (size <= 1e-4) break
    w <- w + size * step; best <- f(w)
    if (max(abs(step)) < 1e-6) break
  }
  list(w = w, value = best, gradient = max(abs(derivative(f, w, 1))), curvature = min(e$values))
}

slope <- function(f) function(w) {
  vapply(seq_along(w), function(i) {
    h <- replace(numeric(length(w)), i, 1e-5)
    (f(w + h) - f(w - h)) / 2e-5
  }, 0)
}

maximise <- function(model, starts, seed = 1) {
  f <- value(model)
  set.seed(seed)
  found <- NULL
  for (i in seq_len(starts)) {
    w <- model$start + if (i > 1) rnorm(length(model$start), sd = 0.4) else 0
    run <- tryCatch(optim(w, f, slope(f), method = "BFGS", control = list(maxit = 300, reltol = 1e-12)),
                    error = function(e) NULL)
    if (!is.null(run) && (is.null(found) || run$value < found$value)) found <- run
  }
  newton(f, found$par)
}

reference <- function(d, fixed, terms = NULL, residual = NULL, variance = NULL, weights = NULL,
                      reml = TRUE) {
  model <- dense_model(d, fixed, terms, residual, variance, weights, reml)
  best <- maximise(model, starts = if (length(model$start) > 10) 2 else 3)
  s <- model$solve(best$w); w <- best$w
  out <- list(n = model$n, df = model$p + length(w) + 1, logLik = s$llf, sigma = s$sigma,
    fixef = as.list(s$beta), vcov = unname(s$vcov), se = as.list(setNames(sqrt(diag(s$vcov)), names(s$beta))),
    optimum = list(gradient = best$gradient, curvature = best$curvature))
  if (length(terms)) out$terms <- lapply(seq_along(terms), function(i)
    c(list(text = terms[[i]]), model$T[[i]]$natural(w[model$at[[i]]], s$sigma)))
  if (!is.null(residual)) out$residual_parameters <-
    model$R$natural(w[model$at[[length(terms) + 1]]], s$sigma)
  if (length(model$S)) out$variance_parameters <- lapply(seq_along(model$S), function(i)
    model$S[[i]]$natural(w[model$at[[model$index_S[i]]]]))
  out
}
